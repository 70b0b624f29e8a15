"""One deploy at a time on a host, with a lock that nobody ever has to remove by hand.

The kernel's ``flock`` is the truth: it goes away with the process, however that ended. The file's content
says who holds it. A child that inherited the open file can outlive the owner and keep the ``flock``; then
the owner's identity proves that the owner is dead, and a new file replaces the old one.

Every look at and change of the file happens under a second, short ``flock`` on its directory. So nobody
sees a lock that is taken but not yet signed, and nobody replaces a file that somebody else just replaced.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from oatie_ops.errors import Locked, PrerequisiteMissing
from oatie_ops.identity import ProcessIdentity, boot_id, pid_namespace

POLL_SECONDS = 0.1
_GUARD_TIMEOUT_SECONDS = 5.0
_GUARD_POLL_SECONDS = 0.005


@dataclass(frozen=True)
class LockOwner:
    """``action``: what it is doing ("deploy"); ``acquired_at``: epoch seconds."""

    identity: ProcessIdentity
    host: str
    namespace: str
    actor: str
    action: str
    acquired_at: float

    def provably_dead(self) -> bool:
        """True only where this process can know: same host, same boot, same pid namespace."""
        if (self.host, self.namespace) != (socket.gethostname(), pid_namespace()):
            return False
        return self.identity.boot_id == boot_id() and not self.identity.alive()

    def to_dict(self) -> dict[str, Any]:
        return {
            "identity": self.identity.to_dict(),
            "host": self.host,
            "namespace": self.namespace,
            "actor": self.actor,
            "action": self.action,
            "acquired_at": self.acquired_at,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LockOwner:
        return cls(
            identity=ProcessIdentity.from_dict(data["identity"]),
            host=str(data["host"]),
            namespace=str(data["namespace"]),
            actor=str(data["actor"]),
            action=str(data["action"]),
            acquired_at=float(data["acquired_at"]),
        )


WaitListener = Callable[[LockOwner | None, float], None]


class DeployLock:
    """Not reentrant. Programs that the owner starts do not inherit the open file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(
        self, action: str, *, actor: str, wait_seconds: float = 0.0, on_wait: WaitListener | None = None
    ) -> LockOwner:
        """Takes the lock, waiting up to `wait_seconds` for its holder.

        `on_wait(holder, waited_seconds)` is called before every new try. Raises `Locked` (exit 6) with
        the holder, since when, and what it is doing.
        """
        started = time.monotonic()
        while True:
            mine, holder = self._try(action, actor)
            if mine is not None:
                return mine
            waited = time.monotonic() - started
            if waited >= wait_seconds:
                raise locked_error(holder, waited)
            if on_wait is not None:
                on_wait(holder, waited)
            time.sleep(min(POLL_SECONDS, wait_seconds - waited))

    def release(self) -> None:
        """Gives the lock back and removes the file. Harmless when it is not held."""
        if self._descriptor is None:
            return
        with _guard(self.path.parent):
            if _is_at(self._descriptor, self.path):
                self.path.unlink()
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> LockOwner | None:
        """Who holds the lock just now; None when nobody does (whatever a killed run left in the file)."""
        try:
            with _guard(self.path.parent):
                descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _try_flock(descriptor, fcntl.LOCK_SH):
                        return None
                    owner = _read_owner(descriptor)
                finally:
                    os.close(descriptor)
        except FileNotFoundError:
            return None
        return None if owner is None or owner.provably_dead() else owner

    def _try(self, action: str, actor: str) -> tuple[LockOwner | None, LockOwner | None]:
        """(my ownership, None) or (None, who holds it, as far as the file tells)."""
        with _explained(self.path), _guard(self.path.parent):
            descriptor = _open(self.path)
            try:
                if not _try_flock(descriptor, fcntl.LOCK_EX):
                    holder = _read_owner(descriptor)
                    if holder is None or not holder.provably_dead():
                        return None, holder
                    self.path.unlink()
                    os.close(descriptor)
                    descriptor = _open(self.path)
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                owner = _this_process(action, actor)
                _write_owner(descriptor, owner)
                self._descriptor, descriptor = descriptor, -1
                return owner, None
            finally:
                if descriptor >= 0:
                    os.close(descriptor)


@contextmanager
def deploy_lock(
    path: Path, action: str, *, actor: str, wait_seconds: float = 0.0, on_wait: WaitListener | None = None
) -> Iterator[DeployLock]:
    """Holds the lock for the block. Raises `Locked`."""
    lock = DeployLock(path)
    lock.acquire(action, actor=actor, wait_seconds=wait_seconds, on_wait=on_wait)
    try:
        yield lock
    finally:
        lock.release()


def locked_error(holder: LockOwner | None, waited_seconds: float) -> Locked:
    waited = f"; waited {waited_seconds:.0f} s for it" if waited_seconds >= 1 else ""
    fix = "wait for it to end, or let oatie wait: `--wait-lock 600`"
    if holder is None:
        return Locked("another run holds the deploy lock", why=f"it has not signed it{waited}", fix=fix)
    since = datetime.fromtimestamp(holder.acquired_at).astimezone()
    return Locked(
        f"another run holds the deploy lock: {holder.action} by {holder.actor}",
        why=f"process {holder.identity.pid} on {holder.host} has held it since"
        f" {since:%Y-%m-%d %H:%M:%S %z}{waited}",
        fix=f"{fix}; to end that run cleanly: `kill -INT {holder.identity.pid}`",
        data={"holder": holder.to_dict(), "waited_seconds": round(waited_seconds, 1)},
    )


def _this_process(action: str, actor: str) -> LockOwner:
    return LockOwner(
        identity=ProcessIdentity.current(),
        host=socket.gethostname(),
        namespace=pid_namespace(),
        actor=actor,
        action=action,
        acquired_at=time.time(),
    )


@contextmanager
def _guard(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _GUARD_TIMEOUT_SECONDS
        while not _try_flock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                raise Locked(
                    f"another process keeps {directory} locked",
                    why=f"it should let go within milliseconds; waited {_GUARD_TIMEOUT_SECONDS:g} s",
                    fix=f"look for a stopped oatie process (`fuser {directory}`), end it, then try again",
                )
            time.sleep(_GUARD_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PrerequisiteMissing(
            f"cannot write the deploy lock {path}",
            why=error.strerror or str(error),
            fix=f"make {path.parent} writable for this user, and free some disk space if there is none",
        ) from error


def _try_flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _write_owner(descriptor: int, owner: LockOwner) -> None:
    content = json.dumps(owner.to_dict()).encode()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, content, 0)


def _read_owner(descriptor: int) -> LockOwner | None:
    """None for a file that a killed process left half written."""
    try:
        return LockOwner.from_dict(json.loads(os.pread(descriptor, 65536, 0)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
