"""``{ type = "sqlite", path = "data/app.db", query = "SELECT 1", integrity = true }``: opened read-only."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from oatie_ops.config.conditions import MISSING, Condition, parse
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.model import CheckSpec, Result, Status


class _Interruptible:
    """Handed from the thread to the loop: a long query ends when its deadline does."""

    def __init__(self) -> None:
        self.connection: sqlite3.Connection | None = None

    def interrupt(self) -> None:
        if self.connection is not None:
            self.connection.interrupt()


@dataclass(frozen=True)
class SqliteCheck:
    spec: CheckSpec
    tools: Tools
    path: Path
    query: str = "SELECT 1"
    expect: Condition | None = None
    integrity: bool = False

    async def run(self, attempt: Attempt) -> Result:
        attempt.waiting_for = f"asking {self.path}"
        running = _Interruptible()
        try:
            return await self.tools.threads.call(self.spec.key, lambda: self._measure(running), attempt)
        except asyncio.CancelledError:
            running.interrupt()
            raise

    def _measure(self, running: _Interruptible) -> Result:
        if not self.path.is_file():
            return Result(Status.FAIL, f"there is no file {self.path}")
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(self.path))}?mode=ro",
                uri=True,
                timeout=self.spec.timeout_seconds,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            return Result(Status.FAIL, f"{self.path}: {error}")
        running.connection = connection
        try:
            return self._ask(connection)
        except sqlite3.Error as error:
            return Result(Status.FAIL, f"{self.path}: {error}")
        finally:
            running.connection = None
            connection.close()

    def _ask(self, connection: sqlite3.Connection) -> Result:
        # A file that is no database opens well, and `SELECT 1` does not even read it.
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        row = connection.execute(self.query).fetchone()
        if self.expect is not None:
            objection = self.expect.objection(row[0] if row else MISSING)
            if objection:
                return Result(Status.FAIL, f"{self.path}: the answer to the query {objection}")
        if self.integrity:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            if found != "ok":
                return Result(Status.FAIL, f"{self.path} is damaged: {found}")
        return Result(Status.PASS, f"{self.path} answers the query")


def build(spec: CheckSpec, tools: Tools) -> Check:
    options = spec.options
    if not options.get("path"):
        raise CheckUnusable("a sqlite check needs the path of its file")
    return SqliteCheck(
        spec,
        tools,
        tools.settings.root / str(options["path"]),
        str(options.get("query") or "SELECT 1"),
        parse(options["expect"]) if "expect" in options else None,
        bool(options.get("integrity", False)),
    )
