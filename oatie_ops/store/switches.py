"""Decisions about services (`oatie_ops.degradation`): those in force, and those that were."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oatie_ops.redaction import redact
from oatie_ops.store.database import Database

KEEP_ENDED = 1_000
COLUMNS = (
    *("service", "owner", "cause", "level", "reason", "actor", "origin", "host", "started_at", "until"),
    *("deadline", "boot_id", "overruled_by"),
)

# service, owner, cause
Key = tuple[str, str, str]


@dataclass(frozen=True)
class SwitchChange:
    """``ended``: key, how, by whom; ``overruled``: key, by whom; ``added``: values of `COLUMNS`.

    ``audit``: actor, origin, action, subject, detail; None: no line.
    """

    ended: Sequence[tuple[Key, str, str]] = ()
    overruled: Sequence[tuple[Key, str]] = ()
    added: Sequence[Mapping[str, Any]] = ()
    audit: tuple[str, str, str, str, str] | None = None


class Switches:
    def __init__(self, database: Database) -> None:
        self._database = database

    def active(self) -> list[dict[str, Any]]:
        """Oldest first: `COLUMNS` and ``id``. What is over and was not noticed yet is among them."""
        rows = self._database.read("SELECT * FROM switches WHERE ended_at IS NULL ORDER BY id")
        return [dict(row) for row in rows]

    def past(self, limit: int = 50) -> list[dict[str, Any]]:
        """The latest to end first, with ``ended_at`` (epoch seconds), ``how`` and ``ended_by``."""
        rows = self._database.read(
            "SELECT * FROM switches WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, id DESC LIMIT ?",
            (limit,),
        )
        return [dict(row) for row in rows]

    def apply(self, change: SwitchChange) -> None:
        """All of it with its line in the audit, or nothing. Done twice, it changes nothing more."""
        now = self._database.now()
        with self._database.transaction() as connection:
            for key, how, by in change.ended:
                _end(connection, key, now, how, by)
            for key, by in change.overruled:
                connection.execute(
                    "UPDATE switches SET overruled_by = ? WHERE ended_at IS NULL"
                    " AND service = ? AND owner = ? AND cause = ?",
                    (by, *key),
                )
            for values in change.added:
                key = (values["service"], values["owner"], values["cause"])
                _end(connection, key, now, "replaced", values["actor"])
                connection.execute(
                    f"INSERT INTO switches ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})",
                    [redact(values[name]) if name == "reason" else values[name] for name in COLUMNS],
                )
            connection.execute(
                "DELETE FROM switches WHERE ended_at IS NOT NULL"
                " AND id <= (SELECT MAX(id) FROM switches) - ?",
                (KEEP_ENDED,),
            )
            if change.audit is not None:
                actor, origin, action, subject, detail = change.audit
                connection.execute(
                    "INSERT INTO audit (at, actor, origin, action, subject, result, detail)"
                    " VALUES (?, ?, ?, ?, ?, 'done', ?)",
                    (now, actor, origin, action, subject, redact(detail)),
                )


def _end(connection: sqlite3.Connection, key: Key, now: float, how: str, by: str) -> None:
    connection.execute(
        "UPDATE switches SET ended_at = ?, how = ?, ended_by = ? WHERE ended_at IS NULL"
        " AND service = ? AND owner = ? AND cause = ?",
        (now, how, by, *key),
    )
