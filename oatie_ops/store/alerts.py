"""Alerts that are open, and notifications that wait to be delivered."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.redaction import redact, redact_value
from oatie_ops.store.database import Database

KEEP_WAITING = 1_000


@dataclass(frozen=True)
class OpenAlert:
    """``channel`` was told that ``service`` fails. Times are epoch seconds."""

    channel: str
    service: str
    since: float
    told_at: float


@dataclass(frozen=True)
class Waiting:
    """A notification and when it is tried next (epoch seconds)."""

    id: int
    channel: str
    created_at: float
    body: dict[str, Any]
    attempts: int
    next_at: float


class Alerts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def opened(self) -> list[OpenAlert]:
        rows = self._database.read("SELECT channel, service, since, told_at FROM alerts_open")
        return [OpenAlert(**dict(row)) for row in rows]

    def save(self, opened: Collection[OpenAlert], notes: Collection[tuple[str, Mapping[str, Any]]]) -> None:
        """All that is open from now on, and new notifications by channel, in one transaction: a crash
        between the two would lose one or tell it twice.
        """
        now = self._database.now()
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM alerts_open")
            connection.executemany(
                "INSERT INTO alerts_open VALUES (?, ?, ?, ?)",
                [(row.channel, row.service, row.since, row.told_at) for row in opened],
            )
            connection.executemany(
                "INSERT INTO alerts_waiting (channel, created_at, body, next_at) VALUES (?, ?, ?, ?)",
                [(channel, now, json.dumps(redact_value(dict(note))), now) for channel, note in notes],
            )
            connection.execute(
                "DELETE FROM alerts_waiting WHERE id <= (SELECT MAX(id) FROM alerts_waiting) - ?",
                (KEEP_WAITING,),
            )

    def next(self, channel: str) -> Waiting | None:
        """The oldest one: they are delivered in their order, so that "resolved" never comes first."""
        rows = self._database.read(
            "SELECT id, channel, created_at, body, attempts, next_at FROM alerts_waiting"
            " WHERE channel = ? ORDER BY id LIMIT 1",
            (channel,),
        )
        return Waiting(**{**dict(rows[0]), "body": json.loads(rows[0]["body"])}) if rows else None

    def channels(self) -> list[str]:
        """Those for which something waits."""
        return [row["channel"] for row in self._database.read("SELECT DISTINCT channel FROM alerts_waiting")]

    def done(self, number: int) -> None:
        """It was delivered, or given up."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM alerts_waiting WHERE id = ?", (number,))

    def again(self, number: int, next_at: float, why: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE alerts_waiting SET attempts = attempts + 1, next_at = ?, why = ? WHERE id = ?",
                (next_at, redact(why), number),
            )
