"""What happened, for people: a bounded list of the newest events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.redaction import redact, redact_value
from oatie_ops.store.database import Database

# A worker that crashes all day must not fill the disk; some weeks of an ordinary service fit.
KEEP_EVENTS = 10_000


@dataclass(frozen=True)
class Event:
    """``at`` is in epoch seconds; ``subject`` names a service, worker or release."""

    id: int
    at: float
    kind: str
    subject: str
    message: str
    data: dict[str, Any]


class Events:
    def __init__(self, database: Database, keep: int = KEEP_EVENTS) -> None:
        self._database = database
        self._keep = keep

    def add(self, kind: str, subject: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        shown, facts = redact(message), json.dumps(redact_value(dict(data or {})))
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO events (at, kind, subject, message, data) VALUES (?, ?, ?, ?, ?)",
                (self._database.now(), kind, redact(subject), shown, facts),
            )
            connection.execute("DELETE FROM events WHERE id <= ?", ((cursor.lastrowid or 0) - self._keep,))

    def recent(self, limit: int = 50, since: float | None = None) -> list[Event]:
        """Newest first; `since` (epoch seconds) leaves out what is older."""
        rows = self._database.read(
            "SELECT * FROM events WHERE at >= ? ORDER BY id DESC LIMIT ?", (since or 0.0, limit)
        )
        return [
            Event(r["id"], r["at"], r["kind"], r["subject"], r["message"], json.loads(r["data"]))
            for r in rows
        ]
