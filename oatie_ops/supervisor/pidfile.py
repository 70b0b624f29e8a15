"""The pid file of a supervisor: never believed by its number alone.

While the owner lives it holds a flock(2) on the file, so that a stale file is recognised even where its
pid has been given to another process, and across pid namespaces. Pid, start time and boot id are
written too: for messages, and for file systems without locks. The first line is the plain pid; the second
is our record as JSON, left out where the operator asked for a file that other tools read.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import tempfile
from pathlib import Path

from oatie_ops.errors import DISK_FULL, Locked, PrerequisiteMissing
from oatie_ops.identity import ProcessIdentity

# What flock(2) answers where the file system has no locks.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class PidFile:
    """``acquire`` after the socket is bound, ``release`` at the end; also a context manager."""

    def __init__(self, path: Path, *, plain: bool = False) -> None:
        self.path = path
        self._plain = plain
        self._fd: int | None = None

    def acquire(self) -> None:
        """Writes the file of this process, atomically.

        Raises `Locked` where a living process owns it, `PrerequisiteMissing` where it cannot be written.
        """
        try:
            while self._fd is None:
                self._fd = _take_over(self.path, plain=self._plain)
        except OSError as error:
            raise PrerequisiteMissing(
                f"cannot write the pid file {self.path}",
                why=error.strerror or str(error),
                fix="free some disk space"
                if error.errno in DISK_FULL
                else "choose a place that this user may write with --pid-file",
            ) from error

    def release(self) -> None:
        """Removes the file if it is still ours. Safe to call twice."""
        if self._fd is None:
            return
        if _names(self.path, self._fd):
            self.path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = None

    def __enter__(self) -> PidFile:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def read(path: Path) -> ProcessIdentity | None:
    """What the file says, alive or not; None without a file or where it is not one of ours."""
    try:
        record = json.loads(path.read_text().splitlines()[1])
        return ProcessIdentity.from_dict(record) if isinstance(record, dict) else None
    except (OSError, ValueError, IndexError):
        return None


def live_owner(path: Path) -> ProcessIdentity | None:
    """The process that wrote the file, if it lives."""
    identity = read(path)
    return identity if identity is not None and identity.alive() else None


def _take_over(path: Path, *, plain: bool) -> int | None:
    """The descriptor of our new file, or None where the file changed under us: look again."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        if not _lock(fd, path):
            raise _locked(path)
        # Whoever replaces the file holds the lock of the one before, so ours is now the only claim.
        return _write(path, plain=plain) if _names(path, fd) else None
    finally:
        os.close(fd)


def _lock(fd: int, path: Path) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return live_owner(path) is None
    return True


def _names(path: Path, fd: int) -> bool:
    """Is the open file still the one at this path?"""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _write(path: Path, *, plain: bool) -> int:
    """The descriptor that holds the lock; the file appears under its name complete and locked."""
    identity = ProcessIdentity.current()
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with contextlib.suppress(OSError):  # the caller has found out whether there are locks here
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        record = "" if plain else f"{json.dumps(identity.to_dict())}\n"
        os.write(fd, f"{identity.pid}\n{record}".encode())
        os.fchmod(fd, 0o644)
        Path(temporary).replace(path)
    except BaseException:
        os.close(fd)
        Path(temporary).unlink(missing_ok=True)
        raise
    return fd


def _locked(path: Path) -> Locked:
    identity = read(path)
    who = f"pid {identity.pid}" if identity else "another process"
    return Locked(
        "a supervisor is running already",
        why=f"{who} holds the pid file {path}",
        fix="`oatie status` shows it; `oatie stop` ends it, `oatie reload` or `oatie deploy` changes it",
    )
