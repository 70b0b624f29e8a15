"""What a watch without a supervisor remembers itself: nobody else keeps latencies and changes then."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from oatie_ops.cli.health_look import Look

KEPT_LATENCIES = 200
RECENT = 60
KEPT_CHANGES = 10


@dataclass
class _Known:
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_LATENCIES))
    changes: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_CHANGES))
    status: str = ""
    looks: int = 0
    good: int = 0


class Remembered:
    """Adds to each look what the looks before it found; a supervisor's own history is left as it is."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def add(self, look: Look) -> Look:
        if look.health is None or look.health["supervised"]:
            return look
        services = {n: self._service(n, s, look.at) for n, s in look.health["services"].items()}
        return replace(look, health={**look.health, "services": services})

    def _service(self, name: str, service: Mapping[str, Any], at: float) -> dict[str, Any]:
        known = self._known.setdefault(name, _Known())
        status, took = service["status"], _took(service)
        if took is not None:
            known.latencies.append(took)
        if known.status and known.status != status:
            known.changes.appendleft(_change(known.status, service, at))
        known.status = status
        if status != "unknown":
            known.looks += 1
            known.good += status != "fail"
        share = known.good / known.looks if known.looks else None
        latency = {**service["latency"], **_latency(known.latencies)}
        return {
            **service,
            "latency": latency,
            "uptime": {**service["uptime"], "day": share},
            "transitions": list(known.changes),
        }


def _took(service: Mapping[str, Any]) -> float | None:
    durations = [check["duration_seconds"] for check in service["checks"].values()]
    return next((value for value in durations if value is not None), None)


def _latency(values: deque[float]) -> dict[str, Any]:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))] if ordered else None
    return {"p95_seconds": p95, "samples": len(ordered), "recent_seconds": list(values)[-RECENT:]}


def _change(before: str, service: Mapping[str, Any], at: float) -> dict[str, Any]:
    return {
        "at": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        "before": before,
        "after": service["status"],
        "output": service["output"],
        "consequence_of": service["consequence_of"],
    }
