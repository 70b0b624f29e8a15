"""What happened and how reliable it was, from the store: for ``GET /health/history`` and the CLI.

The newest minutes of uptime are still in the supervisor's memory; they reach the store about once a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from oatie_ops.health.report import iso_epoch, transition
from oatie_ops.health.standing import Transition
from oatie_ops.health.track import VERSION
from oatie_ops.health.uptime import UptimeLedger
from oatie_ops.store import Store

MAX_LIMIT = 1000


def query(
    store: Store, *, service: str | None = None, since: float | None = None, limit: int = 100
) -> dict[str, Any]:
    """``transitions`` newest first, and by service the uptime and its hours of the last week, oldest first.

    ``service`` None: all. ``since``: epoch seconds; transitions before it are left out. ``limit``: at most
    so many transitions (`MAX_LIMIT` at the most). Raises `StoreError`.
    """
    found = store.health.transitions(service, limit=max(1, min(limit, MAX_LIMIT)), since=since or 0.0)
    tracks = store.health.tracks()
    chosen = tracks if service is None else {service: tracks[service]} if service in tracks else {}
    return {
        "transitions": [
            {
                "service": row.service,
                **transition(Transition(row.at, row.before, row.after, row.output, row.consequence_of)),
            }
            for row in found
        ],
        "services": {name: _of(data, saved_at) for name, (saved_at, data) in chosen.items()},
    }


def _of(data: Mapping[str, Any], saved_at: float) -> dict[str, Any]:
    ledger = UptimeLedger()
    if data.get("version") == VERSION:
        ledger.merge(*data["uptime"])
    _, hours = ledger.buckets()
    return {
        "as_of": iso_epoch(saved_at),
        "uptime": asdict(ledger.summary(saved_at)),
        "hours": [
            {"at": iso_epoch(start), "up_seconds": up, "down_seconds": down} for start, up, down in hours
        ],
    }
