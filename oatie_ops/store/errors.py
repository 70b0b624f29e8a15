"""What can be wrong with the state database, told to an operator."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode


class StoreError(OatieError):
    """The root of every failure of the state database."""


class StoreBusy(StoreError):
    """Another process kept the database locked for longer than the busy time-out."""

    exit_code = ExitCode.LOCKED


class StoreCorrupt(StoreError):
    """The file is damaged or is no SQLite database."""


class StoreFull(StoreError):
    """No room on the file system, or over its quota. What was committed before is intact."""

    exit_code = ExitCode.PREREQUISITE_MISSING


class StoreTooNew(StoreError):
    """A newer oatie wrote this database; guessing at its schema could lose data."""

    exit_code = ExitCode.PREREQUISITE_MISSING


# Primary SQLite result codes (sqlite.org/rescode.html); an extended code keeps its primary in the low byte.
_PERM, _BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 3, 5, 6, 8, 10, 11, 13, 14, 26
_NEARLY_FULL_BYTES = 1 << 20


@contextmanager
def explained(path: Path, busy_timeout_seconds: float) -> Iterator[None]:
    """Turns any error of SQLite about the database at `path` into a `StoreError`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, (sqlite3.ProgrammingError, sqlite3.IntegrityError)):
            raise
        raise explain(error, path, busy_timeout_seconds) from error


def explain(error: sqlite3.Error, path: Path, busy_timeout_seconds: float) -> StoreError:
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    why = f"{error} ({getattr(error, 'sqlite_errorname', None) or 'no SQLite code'})"
    if code in (_BUSY, _LOCKED):
        return StoreBusy(
            f"the state database {path} is locked by another process",
            why=f"{why}; waited {busy_timeout_seconds:g} s for it",
            fix=f"find who holds it open (`fuser {path}`), end it or wait for it, then try again",
        )
    if code in (_CORRUPT, _NOTADB):
        return StoreCorrupt(
            f"the state database {path} is damaged",
            why=why,
            # Left beside a new database, the old -wal file would be replayed into it.
            fix=f"restore it from a backup, or move {path}, {path.name}-wal and {path.name}-shm into another"
            " directory: what is running goes on running and the next deploy starts a new history",
        )
    if code == _FULL or (code == _IOERR and _free_bytes(path) < _NEARLY_FULL_BYTES):
        return StoreFull(
            f"no space left for the state database {path}",
            why=why,
            fix=f"free some space on the file system of {path.parent}; nothing that was recorded is lost",
        )
    if code in (_PERM, _READONLY, _CANTOPEN):
        return StoreError(
            f"the state database {path} cannot be opened for writing",
            why=why,
            fix=f"make {path} and its directory writable for this user, or run oatie as their owner",
        )
    return StoreError(
        f"the state database {path} failed",
        why=why,
        fix="check the disk (`dmesg`), then try again",
    )


def too_new(path: Path, found: int, known: int) -> StoreTooNew:
    return StoreTooNew(
        f"the state database {path} was written by a newer oatie",
        why=f"its schema is version {found}; this oatie knows versions up to {known}",
        fix="upgrade oatie (`pip install --upgrade oatie-ops`), or use the one that wrote it",
    )


def _free_bytes(path: Path) -> int:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return _NEARLY_FULL_BYTES
