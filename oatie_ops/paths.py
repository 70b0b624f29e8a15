"""Where the state of one application lives: ``.oatie/`` beside oatie.toml, or ``$OATIE_HOME``."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from oatie_ops.errors import PrerequisiteMissing
from oatie_ops.records import dataclass

# sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS, with the closing NUL.
MAX_SOCKET_PATH_BYTES = 100


@dataclass(frozen=True)
class StatePaths:
    """All paths under the state directory. Making them is `ensure`; naming them touches nothing."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / "state.db"

    @property
    def releases(self) -> Path:
        return self.home / "releases"

    @property
    def builds(self) -> Path:
        return self.home / "builds"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def deploy_lock(self) -> Path:
        return self.run / "deploy.lock"

    @property
    def recovery_lock(self) -> Path:
        return self.run / "recovery.lock"

    @property
    def breakers(self) -> Path:
        """What the workers' circuit breakers share, and how they were declared."""
        return self.run / "breakers"

    @property
    def errors_socket(self) -> Path:
        """Where workers tell their errors; beside the control socket, whose path is short enough."""
        control = self.control_socket
        return control.with_name(control.name.removesuffix(".sock") + ".errors")

    @property
    def supervisor_pid(self) -> Path:
        return self.run / "supervisor.pid"

    @property
    def switches(self) -> Path:
        return self.run / "switches"

    @property
    def control_socket(self) -> Path:
        """The owner's Unix socket; in a short per-user directory where the natural path is too long."""
        natural = self.run / "control.sock"
        if len(os.fsencode(natural)) <= MAX_SOCKET_PATH_BYTES:
            return natural
        import tempfile  # costs more than all the rest of this module

        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"oatie-{os.getuid()}" / f"{digest}.sock"

    def ensure(self) -> None:
        """Makes the directories, mode 0700, and keeps them out of version control.

        Raises `PrerequisiteMissing` where the place cannot be written or belongs to somebody else.
        """
        try:
            for directory in (self.home, self.releases, self.builds, self.run, self.logs, self.data):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            ignore = self.home / ".gitignore"
            if not ignore.exists() or not ignore.stat().st_size:  # empty: a full disk
                ignore.write_text("*\n")
            for directory in (self.run, self.control_socket.parent):  # not the same where the path is long
                _ensure_private(directory)
        except SomebodyElses as error:
            raise foreign(self.home, error.uid, str(error)) from None
        except OSError as error:
            raise PrerequisiteMissing(
                f"cannot write the state directory {self.home}",
                why=error.strerror or str(error),
                fix="make it writable, free some disk space, or set OATIE_HOME to a directory that is",
            ) from error


def read_regular(path: Path) -> bytes:
    """`OSError` for what is no ordinary file, too: opening a pipe waits until somebody writes into it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is not an ordinary file", os.fspath(path))
        return file.read()


class SomebodyElses(Exception):
    def __init__(self, uid: int, directory: Path) -> None:
        super().__init__(f"{directory} belongs to {user_name(uid)}, and this is {user_name(os.getuid())}")
        self.uid = uid


def foreign(home: Path, uid: int, why: str) -> PrerequisiteMissing:
    """One user runs an application: files of several would lock each other out."""
    user = user_name(uid)
    return PrerequisiteMissing(
        f"the state directory {home} is that of another user",
        why=why,
        fix=f"run this as {user} (`sudo -u {user} oatie …`), or set OATIE_HOME to a directory of your own",
    )


def user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _ensure_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, exist_ok=True)
    info = directory.stat()
    if info.st_uid != os.getuid():
        raise SomebodyElses(info.st_uid, directory)
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(0, f"{directory} is not private to this user")


def state_paths(root: Path, environ: Mapping[str, str] | None = None) -> StatePaths:
    environ = os.environ if environ is None else environ
    home = environ.get("OATIE_HOME", "").strip() and environ["OATIE_HOME"]
    return StatePaths(Path(home).expanduser().absolute() if home else root.absolute() / ".oatie")
