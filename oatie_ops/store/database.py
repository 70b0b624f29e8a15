"""One SQLite file, opened by every oatie process of an application at once.

Write-ahead logging lets readers go on while one process writes; every write is its own ``BEGIN IMMEDIATE``
transaction, so that two writers queue for the busy time-out instead of failing half-way. ``synchronous =
FULL``: a step that was journalled is on the disk before it is carried out, even if the power fails.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oatie_ops.store.errors import StoreError, explained, too_new
from oatie_ops.store.migrations import MIGRATIONS, SCHEMA_VERSION

BUSY_TIMEOUT_SECONDS = 5.0
_WAL_RETRY_SECONDS = 0.02

Clock = Callable[[], float]
Parameter = str | int | float | None


class Connection(sqlite3.Connection):
    """Takes every text. SQLite's is UTF-8, but names of files and what programs say need not be: what Python
    holds as a lone surrogate is kept as it would be printed (``\\udce9``)."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except UnicodeEncodeError:
            return super().execute(sql, _storable(parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        rows = list(parameters)
        try:
            return super().executemany(sql, rows)
        except UnicodeEncodeError:
            return super().executemany(sql, map(_storable, rows))


def _storable(parameters: Any) -> Any:
    if isinstance(parameters, Mapping):
        return {name: _text(value) for name, value in parameters.items()}
    return tuple(map(_text, parameters))


def _text(value: Any) -> Any:
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


class Database:
    """A connection that belongs to the thread which opened it. Every failure is a `StoreError`."""

    def __init__(self, path: Path, *, clock: Clock, busy_timeout_seconds: float) -> None:
        self.path = path
        self.now = clock
        self._busy_timeout_seconds = busy_timeout_seconds
        create_private(path)
        with explained(path, busy_timeout_seconds):
            self._connection = sqlite3.connect(
                path, timeout=busy_timeout_seconds, isolation_level=None, factory=Connection
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        self._connection.close()

    def read(self, sql: str, parameters: Sequence[Parameter] = ()) -> list[sqlite3.Row]:
        with explained(self.path, self._busy_timeout_seconds):
            rows: list[sqlite3.Row] = self._connection.execute(sql, parameters).fetchall()
            return rows

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits when the block ends, rolls back when it raises (a KeyboardInterrupt included)."""
        with explained(self.path, self._busy_timeout_seconds), immediate(self._connection):
            yield self._connection

    def _prepare(self) -> None:
        connection = self._connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        self._refuse_newer()
        self._enter_wal_mode()
        connection.execute("PRAGMA synchronous = FULL")
        if self._version() < SCHEMA_VERSION:
            self._migrate()

    def _enter_wal_mode(self) -> None:
        # SQLite does not use its busy handler for the change of journal mode, so two processes that
        # create the database together would see "database is locked" at once.
        deadline = time.monotonic() + self._busy_timeout_seconds
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
                return
            except sqlite3.OperationalError as error:
                busy = (error.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() >= deadline:
                    raise
                time.sleep(_WAL_RETRY_SECONDS)

    def _migrate(self) -> None:
        with self.transaction() as connection:
            # Read again under the write lock: another process may have migrated meanwhile.
            self._refuse_newer()
            for statements in MIGRATIONS[self._version() :]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _refuse_newer(self) -> None:
        found = self._version()
        if found > SCHEMA_VERSION:
            raise too_new(self.path, found, SCHEMA_VERSION)

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that takes the lock of writers at once: read first, it could be refused when it writes.

    Commits when the block ends, rolls back when it raises (a KeyboardInterrupt included).
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def create_private(path: Path) -> None:
    """SQLite gives its -wal and -shm files the mode of the database, so 0600 covers all three.

    A database that is there is never opened here: closing it again would drop the locks of every connection
    that this process has to it (fcntl(2)), and the next process to come along would write over them.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f"the state database {path} cannot be opened for writing",
            why=error.strerror or str(error),
            fix=f"make {path.parent} writable for this user, or set OATIE_HOME to a directory that is",
        ) from error
