"""``samples.db``: the history of measurements, in a file of its own beside the state database.

Of its own because it is worth less than the state: it is written every few seconds without waiting for the
disk (``synchronous = NORMAL`` in write-ahead mode: a power cut loses the latest seconds, never the file), it
may be deleted at any time, and it never makes a deploy wait for a lock. Bytes in, bytes out: what they mean
is known in `oatie_ops.performance.packing`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oatie_ops.store.database import create_private, immediate
from oatie_ops.store.errors import explained, too_new

SCHEMA_VERSION = 1
BUSY_TIMEOUT_SECONDS = 0.5
# Small, so that the log beside the file stays small as well.
CHECKPOINT_PAGES = 256
# A supervisor has little memory to spare, and the kernel caches the file anyway.
CACHE_KILOBYTES = 256

_SCHEMA = (
    "PRAGMA auto_vacuum = INCREMENTAL",
    "CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    # What is recent: all series together, one row for each time.
    "CREATE TABLE rows (step INTEGER, start INTEGER, data BLOB NOT NULL, PRIMARY KEY (step, start))"
    " WITHOUT ROWID",
    # What is older: one series, many times together.
    "CREATE TABLE chunks (step INTEGER, series INTEGER, start INTEGER, data BLOB NOT NULL,"
    " PRIMARY KEY (step, series, start))",
    """
    CREATE TABLE starts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        release TEXT NOT NULL,
        seconds REAL NOT NULL,
        data TEXT NOT NULL
    )
    """,
    "CREATE INDEX starts_of ON starts (kind, release, id)",
)

Row = tuple[int, bytes]


class SampleFile:
    """A connection that belongs to the thread which opened it. Every failure is a `StoreError`."""

    def __init__(
        self, path: Path, *, read_only: bool = False, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS
    ) -> None:
        """``read_only``: the file must be there (`FileNotFoundError`), and nothing is written."""
        self.path = path
        self._busy = busy_timeout_seconds
        if read_only and not path.exists():
            raise FileNotFoundError(path)
        if not read_only:
            create_private(path)
        with explained(path, busy_timeout_seconds):
            self._connection = sqlite3.connect(path, timeout=busy_timeout_seconds, isolation_level=None)
            try:
                if self._version() != SCHEMA_VERSION:
                    self._prepare()
                self._connection.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
                if not read_only:
                    self._connection.execute("PRAGMA synchronous = NORMAL")
                    self._connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
                    self._connection.execute(f"PRAGMA journal_size_limit = {CHECKPOINT_PAGES * 4096}")
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits when the block ends, rolls back when it raises."""
        with explained(self.path, self._busy), immediate(self._connection):
            yield self._connection

    def read(self, sql: str, parameters: Sequence[str | int | float] = ()) -> list[tuple[Any, ...]]:
        with explained(self.path, self._busy):
            return self._connection.execute(sql, parameters).fetchall()

    # --- series and marks -------------------------------------------------------------------------------

    def series(self) -> dict[str, int]:
        with explained(self.path, self._busy):
            return dict(self._connection.execute("SELECT name, id FROM series ORDER BY id"))

    def add_series(self, names: Iterable[str]) -> dict[str, int]:
        """All series there are, these included."""
        with self.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO series (name) VALUES (?)", [(n,) for n in names])
        return self.series()

    def marks(self) -> dict[str, int]:
        with explained(self.path, self._busy):
            return dict(self._connection.execute("SELECT name, value FROM marks"))

    # --- recent: one row for each time --------------------------------------------------------------------

    def rows(self, step: int, since: int, until: int) -> list[Row]:
        """Oldest first, ``since`` inclusive, ``until`` exclusive."""
        with explained(self.path, self._busy):
            return self._connection.execute(
                "SELECT start, data FROM rows WHERE step = ? AND start >= ? AND start < ? ORDER BY start",
                (step, since, until),
            ).fetchall()

    def row_starts(self, step: int, since: int) -> list[int]:
        with explained(self.path, self._busy):
            found = self._connection.execute(
                "SELECT start FROM rows WHERE step = ? AND start >= ? ORDER BY start", (step, since)
            )
            return [start for (start,) in found]

    # --- older: one series, many times --------------------------------------------------------------------

    def chunks(self, step: int, ids: Iterable[int], since: int, until: int) -> list[tuple[int, int, bytes]]:
        """(series, start, data) of the chunks that begin in this time."""
        wanted = list(ids)
        marks = ",".join("?" * len(wanted))
        with explained(self.path, self._busy):
            return self._connection.execute(
                "SELECT series, start, data FROM chunks"
                f" WHERE step = ? AND series IN ({marks}) AND start >= ? AND start < ?",
                (step, *wanted, since, until),
            ).fetchall()

    def used_bytes(self) -> int:
        """What the file would take without its free pages."""
        with explained(self.path, self._busy):
            pages, free, size = (
                int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
        return (pages - free) * size

    def shrink(self) -> None:
        """Gives free pages back to the file system."""
        with explained(self.path, self._busy):
            self._connection.execute("PRAGMA incremental_vacuum").fetchall()

    # --- the file itself ----------------------------------------------------------------------------------

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _prepare(self) -> None:
        connection = self._connection
        if self._version() > SCHEMA_VERSION:
            raise too_new(self.path, self._version(), SCHEMA_VERSION)
        connection.execute(_SCHEMA[0])
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        with self.transaction():
            if self._version() == SCHEMA_VERSION:  # another process was quicker
                return
            for statement in _SCHEMA[1:]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
