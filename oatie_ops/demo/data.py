"""The demo's data: a little sales ledger and the reports made from it, in one SQLite file.

All functions block. They run in the one data thread of a worker (`oatie_ops.demo.app`), never on its loop.
Several workers share the file: WAL lets them read while one writes, and a busy writer is waited for.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BUSY_TIMEOUT_SECONDS = 5.0
REGIONS = ("north", "south", "east", "west")
LEDGER_DAYS = 90

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sales (
  day INTEGER NOT NULL, region TEXT NOT NULL, amount_cents INTEGER NOT NULL, PRIMARY KEY (day, region)
);
CREATE TABLE IF NOT EXISTS reports (
  id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, region TEXT, days INTEGER NOT NULL,
  created_at REAL NOT NULL, result TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS switches (name TEXT PRIMARY KEY, is_on INTEGER NOT NULL);
"""


def data_directory(environ: Mapping[str, str] | None = None) -> Path:
    """``$OATIE_DATA_DIR``, else a private directory per user under the system's temporary directory.

    Raises `PermissionError` where that fall-back belongs to somebody else.
    """
    environ = os.environ if environ is None else environ
    chosen = environ.get("OATIE_DATA_DIR")
    if chosen:
        directory = Path(chosen).expanduser()
        directory.mkdir(parents=True, exist_ok=True)
        return directory
    directory = Path(tempfile.gettempdir()) / f"oatie-demo-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    info = directory.lstat()
    if info.st_uid != os.getuid() or not stat.S_ISDIR(info.st_mode):
        raise PermissionError(f"{directory} belongs to somebody else; set OATIE_DATA_DIR")
    return directory


class Ledger:
    """One connection to the data. Belongs to the thread that made it."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
        try:
            self._connection.row_factory = sqlite3.Row
            self._use_wal()
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._create()
        except BaseException:
            self._connection.close()
            raise

    def _use_wal(self) -> None:
        # Changing the journal mode does not wait for a busy peer, so workers that start together retry.
        deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _create(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)
            if not self._connection.execute("SELECT 1 FROM sales LIMIT 1").fetchone():
                self._connection.executemany("INSERT INTO sales VALUES (?, ?, ?)", _sample_sales())
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()

    def ping(self) -> None:
        self._connection.execute("SELECT 1 FROM sales LIMIT 1").fetchone()

    def reports(self, limit: int) -> list[dict[str, Any]]:
        """Newest first."""
        rows = self._connection.execute("SELECT * FROM reports ORDER BY id DESC LIMIT ?", (limit,))
        return [_report(row) for row in rows]

    def report(self, number: int) -> dict[str, Any] | None:
        row = self._connection.execute("SELECT * FROM reports WHERE id = ?", (number,)).fetchone()
        return _report(row) if row else None

    def generate(self, title: str, region: str | None, days: int) -> dict[str, Any]:
        """Adds up the last ``days`` of the ledger (of one region, or of all) and keeps the result."""
        rows = self._connection.execute(
            "SELECT region, SUM(amount_cents) AS cents FROM sales "
            "WHERE day > ? AND (? IS NULL OR region = ?) GROUP BY region ORDER BY region",
            (LEDGER_DAYS - days, region, region),
        ).fetchall()
        by_region = {row["region"]: row["cents"] / 100 for row in rows}
        result = {"total": round(sum(by_region.values()), 2), "by_region": by_region}
        created_at = time.time()
        cursor = self._connection.execute(
            "INSERT INTO reports (title, region, days, created_at, result) VALUES (?, ?, ?, ?, ?)",
            (title, region, days, created_at, json.dumps(result)),
        )
        about = {"title": title, "region": region, "days": days, "created_at": created_at}
        return {"id": cursor.lastrowid, **about, **result}

    def switch(self, name: str) -> bool:
        row = self._connection.execute("SELECT is_on FROM switches WHERE name = ?", (name,)).fetchone()
        return bool(row and row["is_on"])

    def set_switch(self, name: str, is_on: bool) -> None:
        self._connection.execute(
            "INSERT INTO switches VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET is_on = excluded.is_on",
            (name, int(is_on)),
        )


def _report(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "title": row["title"],
        "region": row["region"],
        "days": row["days"],
        "created_at": row["created_at"],
        **json.loads(row["result"]),
    }


def _sample_sales() -> list[tuple[int, str, int]]:
    return [
        (day, region, 10_000 + (day * 7_919 + index * 104_729) % 90_000)
        for day in range(1, LEDGER_DAYS + 1)
        for index, region in enumerate(REGIONS)
    ]
