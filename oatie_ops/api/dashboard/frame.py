"""The frame: everything that the dashboard shows, as one JSON object, made of values that others measured.

`frame` is pure. A part whose figures nobody measured, or whose source did not answer, is ``known: false``
with the reason: nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oatie_ops.health import report
from oatie_ops.health.model import Instant, ServiceState, Snapshot, Status
from oatie_ops.health.uptime import Bucket

ACTIONS = ("restart", "recover", "degrade", "restore")
HOUR_SECONDS, DAY_SECONDS = 3600, 86_400
CELL_SECONDS = {HOUR_SECONDS: 300, DAY_SECONDS: 3600}
# A service that is known for less long is shown by its last hour: the day would be all grey.
YOUNG_SECONDS = 2 * HOUR_SECONDS

Part = Mapping[str, Any]
Buckets = tuple[Sequence[Bucket], Sequence[Bucket]]


def unknown(why: str) -> dict[str, Any]:
    return {"known": False, "why": why}


def known(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"known": True, "why": "", **data}


NOT_ASKED = unknown("not asked for yet")


@dataclass(frozen=True)
class Sources:
    """What a frame is made of. ``running`` is the object of ``GET /control/status``; ``ledgers`` hold the
    up and down seconds of each service, in buckets of five minutes and of hours; ``can`` tells of each
    service why an action is not possible (empty: it is). The parts are `known` or `unknown`.
    """

    snapshot: Snapshot
    now: Instant
    version: str
    running: Mapping[str, Any]
    ledgers: Mapping[str, Buckets] = field(default_factory=dict)
    can: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    operations: Sequence[Mapping[str, Any]] = ()
    resources: Part = field(default_factory=lambda: NOT_ASKED)
    traffic: Part = field(default_factory=lambda: NOT_ASKED)
    events: Part = field(default_factory=lambda: NOT_ASKED)
    releases: Part = field(default_factory=lambda: NOT_ASKED)
    startup: Part = field(default_factory=lambda: NOT_ASKED)
    scaling: Part = field(default_factory=lambda: NOT_ASKED)
    recovery: Part = field(default_factory=lambda: NOT_ASKED)
    degradation: Part = field(default_factory=lambda: NOT_ASKED)


def frame(sources: Sources) -> dict[str, Any]:
    """The object of ``GET /health/dashboard``."""
    snapshot, now = sources.snapshot, sources.now
    return {
        **brief(snapshot, now, sources.version, sources.running),
        "services": report.services(snapshot, now),
        "now": report.iso(now),
        "worst": worst(snapshot, now),
        "order": [state.name for state in snapshot.worst_first],
        "actions": {
            name: {action: sources.can.get(name, {}).get(action, "not from here") for action in ACTIONS}
            for name in snapshot.services
        },
        "uptime_bars": {
            name: uptime_bar(*sources.ledgers[name], state.uptime.known_seconds, now.epoch_seconds)
            for name, state in snapshot.services.items()
            if name in sources.ledgers
        },
        "operations": [dict(operation) for operation in sources.operations],
        "resources": sources.resources,
        "traffic": sources.traffic,
        "events": sources.events,
        "releases": sources.releases,
        "startup": sources.startup,
        "scaling": sources.scaling,
        "recovery": sources.recovery,
        "degradation": sources.degradation,
    }


def brief(snapshot: Snapshot, now: Instant, version: str, running: Mapping[str, Any]) -> dict[str, Any]:
    """Health and what runs, all of it from memory: the object of ``GET /health/dashboard/brief``, but for
    its services.
    """
    return {
        **report.summary(snapshot, now),
        "version": version,
        "state": running.get("state", ""),
        "detail": running.get("detail", ""),
        "release": running.get("release"),
        "app": running.get("app") or {},
        "ops": running.get("ops") or {},
        "workers": list(running.get("workers") or ()),
    }


def worst(snapshot: Snapshot, now: Instant) -> dict[str, Any] | None:
    """The service that the overall status comes from; None while everything passes."""
    if snapshot.status is Status.PASS or not snapshot.services:
        return None
    first = snapshot.worst_first[0]
    since = _since(first)
    return {
        "service": first.name,
        "status": first.status.value,
        "output": first.output,
        "since": report.iso(since) if since else None,
        "for_seconds": round(since.age_seconds(now), 3) if since else None,
    }


def uptime_bar(
    fine: Iterable[Bucket], coarse: Iterable[Bucket], known_seconds: float, now: float
) -> dict[str, Any]:
    """Cells of equal length up to ``now``, oldest first: the share of the known time that was up, or null.

    The last hour by five minutes for a young service, else the last day by hours.
    """
    span = HOUR_SECONDS if known_seconds < YOUNG_SECONDS else DAY_SECONDS
    step = CELL_SECONDS[span]
    seconds = {int(start): (up, down) for start, up, down in (fine if span == HOUR_SECONDS else coarse)}
    last = int(now // step) * step
    starts = range(last - span + step, last + step, step)
    return {
        "span_seconds": span,
        "step_seconds": step,
        "start": starts[0],
        "cells": [_share(*seconds.get(start, (0.0, 0.0))) for start in starts],
    }


def _share(up: float, down: float) -> float | None:
    total = up + down
    return round(up / total, 4) if total > 0 else None


def _since(state: ServiceState) -> Instant | None:
    return state.cause.state.since if state.cause else None
