"""The journal of recoveries: each failure that was acted upon, each try and its proof."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.printable import printable
from oatie_ops.redaction import redact
from oatie_ops.store.database import Database

KEEP_RECOVERIES = 2_000


@dataclass(frozen=True)
class RecoveryRow:
    """``outcome`` is None while it goes on. Times are epoch seconds; it failed since ``failed_at``, which is
    ``began_at`` where it did not fail.
    """

    id: int
    service: str
    trigger: str
    actor: str
    reason: str
    failed_at: float
    began_at: float
    ended_at: float | None
    outcome: str | None
    detail: str


@dataclass(frozen=True)
class TryRow:
    """One try of one rung. ``state``: acting, verifying, proven, refuted or interrupted.

    ``before`` and ``proof`` are what the checks said before and after; ``output`` is the action's own word.
    """

    id: int
    recovery_id: int
    service: str
    rung: int
    name: str
    attempt: int
    began_at: float
    acted_at: float | None
    ended_at: float | None
    state: str
    ok: bool | None
    before: str
    output: str
    proof: str


@dataclass(frozen=True)
class RungFigures:
    """Of all kept tries of one rung that came to an end. ``mean_seconds``: from the try to its proof."""

    service: str
    name: str
    tries: int
    proven: int
    mean_seconds: float | None


@dataclass(frozen=True)
class ServiceFigures:
    """``mean_seconds_to_repair``: from the failure to the proof, of what had failed and was recovered."""

    service: str
    recoveries: int
    proven: int
    gave_up: int
    mean_seconds_to_repair: float | None


class Recoveries:
    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, service: str, trigger: str, actor: str, reason: str, failed_at: float | None) -> int:
        """``failed_at`` None: it did not fail, somebody wanted it all the same."""
        now = self._database.now()
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO recoveries (service, trigger, actor, reason, failed_at, began_at, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, '')",
                (
                    service,
                    trigger,
                    actor,
                    printable(redact(reason)),
                    now if failed_at is None else failed_at,
                    now,
                ),
            )
            number = int(cursor.lastrowid or 0)
            connection.execute(
                "DELETE FROM recovery_tries WHERE recovery_id <= ?", (number - KEEP_RECOVERIES,)
            )
            connection.execute("DELETE FROM recoveries WHERE id <= ?", (number - KEEP_RECOVERIES,))
            return number

    def end(self, number: int, outcome: str, detail: str = "") -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE recoveries SET ended_at = ?, outcome = ?, detail = ? WHERE id = ?",
                (self._database.now(), outcome, redact(detail), number),
            )

    def begin_try(
        self, recovery: int, service: str, *, rung: int, name: str, attempt: int, before: str
    ) -> int:
        """Before anything happens."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO recovery_tries"
                " (recovery_id, service, rung, name, attempt, began_at, state, before, output, proof)"
                " VALUES (?, ?, ?, ?, ?, ?, 'acting', ?, '', '')",
                (recovery, service, rung, redact(name), attempt, self._database.now(), redact(before)),
            )
            return int(cursor.lastrowid or 0)

    def acted(self, number: int, *, ok: bool, output: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE recovery_tries SET state = 'verifying', acted_at = ?, ok = ?, output = ?"
                " WHERE id = ?",
                (self._database.now(), ok, redact(output), number),
            )

    def end_try(self, number: int, *, proven: bool, proof: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE recovery_tries SET state = ?, ended_at = ?, proof = ? WHERE id = ?",
                ("proven" if proven else "refuted", self._database.now(), redact(proof), number),
            )

    def interrupt(self) -> list[RecoveryRow]:
        """What somebody who is gone left unfinished is marked so; returns these recoveries."""
        rows = self._database.read("SELECT * FROM recoveries WHERE ended_at IS NULL ORDER BY id")
        if not rows:
            return []
        now = self._database.now()
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE recovery_tries SET state = 'interrupted', ended_at = ? WHERE ended_at IS NULL", (now,)
            )
            connection.execute(
                "UPDATE recoveries SET ended_at = ?, outcome = 'interrupted' WHERE ended_at IS NULL", (now,)
            )
        return [RecoveryRow(**dict(row)) for row in rows]

    def recent(self, service: str | None = None, limit: int = 20) -> list[RecoveryRow]:
        """Newest first."""
        rows = self._database.read(
            "SELECT * FROM recoveries WHERE ? IS NULL OR service = ? ORDER BY id DESC LIMIT ?",
            (service, service, limit),
        )
        return [RecoveryRow(**dict(row)) for row in rows]

    def tries(self, recovery: int) -> list[TryRow]:
        """In their order."""
        rows = self._database.read(
            "SELECT * FROM recovery_tries WHERE recovery_id = ? ORDER BY id", (recovery,)
        )
        return [TryRow(**{**dict(row), "ok": None if row["ok"] is None else bool(row["ok"])}) for row in rows]

    def rung_figures(self) -> list[RungFigures]:
        rows = self._database.read(
            "SELECT service, name, COUNT(*) AS tries, SUM(state = 'proven') AS proven,"
            " AVG(CASE WHEN state = 'proven' THEN ended_at - began_at END) AS mean_seconds"
            " FROM recovery_tries WHERE state IN ('proven', 'refuted') GROUP BY service, name"
        )
        return [RungFigures(**dict(row)) for row in rows]

    def service_figures(self) -> list[ServiceFigures]:
        rows = self._database.read(
            "SELECT service, COUNT(*) AS recoveries, SUM(outcome = 'proven') AS proven,"
            " SUM(outcome = 'gave_up') AS gave_up,"
            " AVG(CASE WHEN outcome = 'proven' AND failed_at < began_at THEN ended_at - failed_at END)"
            " AS mean_seconds_to_repair"
            " FROM recoveries WHERE ended_at IS NOT NULL GROUP BY service"
        )
        return [ServiceFigures(**dict(row)) for row in rows]

    # --- where each service stands --------------------------------------------------------------------------

    def save_progress(self, progress: Mapping[str, Mapping[str, Any]]) -> None:
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO recovery_progress (service, data) VALUES (?, ?)"
                " ON CONFLICT (service) DO UPDATE SET data = excluded.data",
                [(service, json.dumps(data)) for service, data in progress.items()],
            )

    def progress(self) -> dict[str, dict[str, Any]]:
        rows = self._database.read("SELECT service, data FROM recovery_progress")
        return {row["service"]: json.loads(row["data"]) for row in rows}
