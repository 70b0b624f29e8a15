"""What is known about recoveries as JSON objects, the same for HTTP and the command line. Reads; blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from oatie_ops.health.report import iso_epoch
from oatie_ops.recovery.ladder import Ladder, Rung
from oatie_ops.recovery.ladder_state import Phase
from oatie_ops.store import Store
from oatie_ops.store.recoveries import RecoveryRow, RungFigures, ServiceFigures, TryRow

SCHEMA_VERSION = 1
HISTORY_LIMIT = 20
NOTHING_KNOWN: Mapping[str, Any] = {
    "recoveries": 0,
    "proven": 0,
    "gave_up": 0,
    "mean_seconds_to_repair": None,
}


def overview(database: Path, ladders: Mapping[str, Ladder]) -> dict[str, Any]:
    """Every ladder: its rungs, where it stands, what it has achieved so far. Raises `StoreError`."""
    if not database.exists():  # a look makes no database
        return {
            "schema_version": SCHEMA_VERSION,
            "ladders": {n: ladder(known) for n, known in ladders.items()},
        }
    with Store.open(database) as store:
        progress = store.recoveries.progress()
        rungs = {(row.service, row.name): row for row in store.recoveries.rung_figures()}
        services = {row.service: row for row in store.recoveries.service_figures()}
        now = store.now()
    return {
        "schema_version": SCHEMA_VERSION,
        "ladders": {
            name: ladder(known, progress.get(name), rungs, now)
            | (_figures(services[name]) if name in services else {})
            for name, known in ladders.items()
        },
    }


def _figures(found: ServiceFigures) -> dict[str, Any]:
    mean = found.mean_seconds_to_repair
    return {
        **{key: getattr(found, key) for key in NOTHING_KNOWN},
        "mean_seconds_to_repair": None if mean is None else round(mean, 2),
    }


def history(database: Path, service: str | None = None, limit: int = HISTORY_LIMIT) -> dict[str, Any]:
    """The newest recoveries with their tries. Raises `StoreError`."""
    found: list[dict[str, Any]] = []
    if database.exists():
        with Store.open(database) as store:
            rows = store.recoveries.recent(service, limit)
            found = [recovery(row, store.recoveries.tries(row.id)) for row in rows]
    return {"schema_version": SCHEMA_VERSION, "recoveries": found}


def ladder(
    known: Ladder,
    progress: Mapping[str, Any] | None = None,
    figures: Mapping[tuple[str, str], RungFigures] | None = None,
    now: float = 0.0,
) -> dict[str, Any]:
    """``next_try_at`` is there while a service fails, or was given up."""
    data = progress or {"phase": str(Phase.WELL), "rung": 0, "used": 0, "attempts": 0}
    unwell = data["phase"] != Phase.WELL
    due = float(data.get("saved_at", now)) + float(data.get("due_in_seconds", 0.0))
    return {
        "service": known.service,
        "declared": known.declared,
        "state": str(data["phase"]),
        "next_rung": int(data["rung"]) % len(known.rungs) + 1,
        "attempts": int(data["attempts"]),
        "next_try_at": iso_epoch(due) if unwell else None,
        "rungs": [rung(step, (figures or {}).get((known.service, step.name))) for step in known.rungs],
        **NOTHING_KNOWN,
    }


def rung(step: Rung, figures: RungFigures | None = None) -> dict[str, Any]:
    tries, proven = (figures.tries, figures.proven) if figures else (0, 0)
    return {
        "rung": step.number,
        "name": step.name,
        "action": str(step.kind),
        "verify": step.verify,
        "max": step.max,
        "settle_seconds": step.settle_seconds,
        "timeout_seconds": step.timeout_seconds,
        "tries": tries,
        "proven": proven,
        "success_rate": round(proven / tries, 3) if tries else None,
        "mean_seconds": round(figures.mean_seconds, 2) if figures and figures.mean_seconds else None,
    }


def recovery(row: RecoveryRow, tries: list[TryRow]) -> dict[str, Any]:
    ended = row.ended_at
    return {
        **asdict(row),
        "failed_at": iso_epoch(row.failed_at),
        "began_at": iso_epoch(row.began_at),
        "ended_at": None if ended is None else iso_epoch(ended),
        "seconds": None if ended is None else round(max(0.0, ended - row.failed_at), 2),
        "tries": [_try(entry) for entry in tries],
    }


def _try(row: TryRow) -> dict[str, Any]:
    ended = row.ended_at
    return {
        "rung": row.rung,
        "name": row.name,
        "attempt": row.attempt,
        "state": row.state,
        "ok": row.ok,
        "output": row.output,
        "before": row.before,
        "proof": row.proof,
        "began_at": iso_epoch(row.began_at),
        "seconds": None if ended is None else round(max(0.0, ended - row.began_at), 2),
    }
