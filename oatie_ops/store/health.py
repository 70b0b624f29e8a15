"""What the check loop remembers across restarts. Rows in, rows out: what they mean is decided in health/."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.redaction import redact
from oatie_ops.store.database import Database

# A service that flaps all night must not push the history of the others out.
KEEP_TRANSITIONS_EACH = 500
KEEP_TRANSITIONS = 20_000
KEEP_WINDOWS = 1_000


@dataclass(frozen=True)
class TransitionRow:
    """``at`` is in epoch seconds."""

    id: int
    at: float
    service: str
    before: str
    after: str
    output: str
    consequence_of: str


@dataclass(frozen=True)
class WindowRow:
    """Epoch seconds. ``until`` None: until cleared; ``cleared_at`` None: not cleared."""

    id: int
    service: str
    reason: str
    actor: str
    started_at: float
    until: float | None
    cleared_at: float | None
    cleared_by: str | None


class HealthRecords:
    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self, tracks: Mapping[str, Mapping[str, Any]], transitions: Iterable[TransitionRow] = ()
    ) -> None:
        """Both in one transaction, so that a restart finds counts and events that belong together."""
        now = self._database.now()
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO health_tracks VALUES (?, ?, ?) ON CONFLICT (service)"
                " DO UPDATE SET saved_at = excluded.saved_at, data = excluded.data",
                [(service, now, json.dumps(data, separators=(",", ":"))) for service, data in tracks.items()],
            )
            rows = [
                (t.at, t.service, t.before, t.after, redact(t.output), t.consequence_of) for t in transitions
            ]
            if not rows:
                return
            newest = 0
            for row in rows:
                newest = (
                    connection.execute(
                        "INSERT INTO health_transitions (at, service, before, after, output, consequence_of)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
                        row,
                    ).lastrowid
                    or newest
                )
            for service in {row[1] for row in rows}:
                connection.execute(
                    "DELETE FROM health_transitions WHERE service = ? AND id <= (SELECT id FROM"
                    " health_transitions WHERE service = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                    (service, service, KEEP_TRANSITIONS_EACH),
                )
            connection.execute("DELETE FROM health_transitions WHERE id <= ?", (newest - KEEP_TRANSITIONS,))

    def tracks(self) -> dict[str, tuple[float, dict[str, Any]]]:
        """By service: when it was saved and what."""
        rows = self._database.read("SELECT * FROM health_tracks")
        return {row["service"]: (row["saved_at"], json.loads(row["data"])) for row in rows}

    def forget(self, services: Iterable[str]) -> None:
        """For services that are declared no longer."""
        with self._database.transaction() as connection:
            connection.executemany(
                "DELETE FROM health_tracks WHERE service = ?", [(service,) for service in services]
            )

    def transitions(
        self, service: str | None = None, *, limit: int = 100, since: float = 0.0
    ) -> list[TransitionRow]:
        """Newest first."""
        rows = self._database.read(
            "SELECT * FROM health_transitions WHERE (? IS NULL OR service = ?) AND at >= ?"
            " ORDER BY id DESC LIMIT ?",
            (service, service, since, limit),
        )
        return [TransitionRow(**dict(row)) for row in rows]

    def add_window(self, service: str, reason: str, actor: str, until: float | None) -> WindowRow:
        now = self._database.now()
        with self._database.transaction() as connection:
            number = connection.execute(
                "INSERT INTO maintenance (service, reason, actor, started_at, until) VALUES (?, ?, ?, ?, ?)",
                (service, redact(reason), actor, now, until),
            ).lastrowid
            connection.execute("DELETE FROM maintenance WHERE id <= ?", ((number or 0) - KEEP_WINDOWS,))
        return WindowRow(number or 0, service, redact(reason), actor, now, until, None, None)

    def clear_windows(self, actor: str, *, service: str | None = None, number: int | None = None) -> int:
        """Ends the windows of exactly ``service``, or the one with this ``number``, or all; how many."""
        now = self._database.now()
        with self._database.transaction() as connection:
            return connection.execute(
                "UPDATE maintenance SET cleared_at = ?, cleared_by = ? WHERE cleared_at IS NULL"
                " AND (until IS NULL OR until > ?) AND (? IS NULL OR service = ?) AND (? IS NULL OR id = ?)",
                (now, actor, now, service, service, number, number),
            ).rowcount

    def windows(self, *, active: bool = True, limit: int = 100) -> list[WindowRow]:
        """Newest first; ``active``: neither over nor cleared."""
        rows = self._database.read(
            "SELECT * FROM maintenance WHERE NOT ? OR (cleared_at IS NULL AND (until IS NULL OR until > ?))"
            " ORDER BY id DESC LIMIT ?",
            (active, self._database.now(), limit),
        )
        return [WindowRow(**dict(row)) for row in rows]
