"""The snapshot as JSON objects: the same for the ops API, the dashboard and ``oatie health --json``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from oatie_ops.health.groups import GROUPS
from oatie_ops.health.model import CheckEntry, Instant, ServiceState, Snapshot, Status
from oatie_ops.health.standing import NO_LATENCY, Degradation, Latency, Maintenance, Transition, Uptime

SCHEMA_VERSION = 1


def detailed(snapshot: Snapshot, now: Instant) -> dict[str, Any]:
    """Everything, under a versioned schema: fields may be added to it, none changes or goes."""
    return {**summary(snapshot, now), "services": services(snapshot, now)}


def summary(snapshot: Snapshot, now: Instant) -> dict[str, Any]:
    """`detailed` without the services, of which there may be very many."""
    return {
        "schema_version": SCHEMA_VERSION,
        "status": snapshot.status.value,
        "cause": snapshot.cause,
        "taken_at": iso(snapshot.taken_at),
        "age_seconds": round(snapshot.age_seconds(now), 3),
        "groups": groups(snapshot, now),
    }


def groups(snapshot: Snapshot, now: Instant) -> dict[str, Any]:
    verdicts = {name: judge(snapshot, now) for name, judge in GROUPS.items()}
    return {name: {"status": v.status.value, "output": v.output} for name, v in verdicts.items()}


def services(snapshot: Snapshot, now: Instant) -> dict[str, Any]:
    return dict(each_service(snapshot, now))


def each_service(snapshot: Snapshot, now: Instant) -> Iterator[tuple[str, dict[str, Any]]]:
    """Lazily: a thousand take many milliseconds."""
    return ((name, service(state, now)) for name, state in snapshot.services.items())


def service(state: ServiceState, now: Instant) -> dict[str, Any]:
    cause = state.cause
    return {
        "status": state.status.value,
        "output": state.output,
        "since": iso(cause.state.since) if cause else None,
        "for_seconds": round(cause.state.since.age_seconds(now), 3) if cause else None,
        "needs": list(state.needs),
        "consequence_of": state.consequence_of or None,
        "maintenance": maintenance(state.maintenance) if state.maintenance else None,
        "degraded": degraded(state.degraded) if state.degraded else None,
        "flapping": state.flapping,
        "uptime": uptime(state.uptime),
        "latency": latency(state.latency),
        "transitions": [transition(change) for change in state.standing.transitions],
        "checks": {
            entry.spec.name: check(entry, now)
            | {"latency": latency(state.standing.latency.get(entry.spec.name, NO_LATENCY))}
            for entry in state.checks
        },
    }


def uptime(known: Uptime) -> dict[str, Any]:
    return {
        "hour": known.hour,
        "day": known.day,
        "week": known.week,
        "known_seconds": known.known_seconds,
    }


def latency(known: Latency) -> dict[str, Any]:
    """Seconds, to the microsecond."""
    return {
        "p50_seconds": _micro(known.p50_seconds),
        "p95_seconds": _micro(known.p95_seconds),
        "p99_seconds": _micro(known.p99_seconds),
        "samples": known.samples,
        "recent_seconds": [_micro(value) for value in known.recent_seconds],
    }


def transition(change: Transition) -> dict[str, Any]:
    return {
        "at": iso_epoch(change.at),
        "before": change.before,
        "after": change.after,
        "output": change.output,
        "consequence_of": change.consequence_of or None,
    }


def maintenance(window: Maintenance) -> dict[str, Any]:
    return {
        "id": window.id,
        "service": window.service,
        "reason": window.reason,
        "actor": window.actor,
        "started_at": iso_epoch(window.started_at),
        "until": None if window.until is None else iso_epoch(window.until),
    }


def degraded(switch: Degradation) -> dict[str, Any]:
    return {
        "level": switch.level,
        "owner": switch.owner,
        "reason": switch.reason,
        "actor": switch.actor,
        "since": iso_epoch(switch.since),
        "left_seconds": None if switch.left_seconds is None else round(switch.left_seconds, 3),
    }


def _micro(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def check(entry: CheckEntry, now: Instant) -> dict[str, Any]:
    spec, state, last = entry.spec, entry.state, entry.state.last
    return {
        "type": spec.type,
        "status": state.status.value,
        "output": entry.output,
        "since": iso(state.since),
        "for_seconds": round(state.since.age_seconds(now), 3),
        "checked_at": iso(state.checked_at) if state.checked_at else None,
        "age_seconds": round(state.checked_at.age_seconds(now), 3) if state.checked_at else None,
        "duration_seconds": round(last.duration_seconds, 6) if last else None,
        "observed_value": last.observed_value if last else None,
        "observed_unit": last.observed_unit if last else "",
        "latest_result": last.status.value if last else None,
        "interval_seconds": spec.interval_seconds,
        "timeout_seconds": spec.timeout_seconds,
        "rise": spec.rise,
        "fall": spec.fall,
    }


def health_json(snapshot: Snapshot, version: str, release: str | None) -> dict[str, Any]:
    """The shape of draft-inadarei-api-health-check-06 (``application/health+json``), but for its `checks`."""
    return {
        "status": snapshot.status.value,
        "version": version,
        **({"releaseId": release} if release else {}),
        **({"output": snapshot.cause} if snapshot.cause else {}),
    }


def components(snapshot: Snapshot) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The members of its ``checks``, lazily."""
    return (
        (f"{state.name}:{entry.spec.name}", [_component(state, entry)])
        for state in snapshot.services.values()
        for entry in state.checks
    )


def _component(state: ServiceState, entry: CheckEntry) -> dict[str, Any]:
    last = entry.state.last
    component: dict[str, Any] = {
        "componentId": state.name,
        "componentType": "system" if state.name == "system" else "component",
        "status": entry.state.status.value,
    }
    if entry.state.checked_at is not None:
        component["time"] = iso(entry.state.checked_at)
    if last is not None and last.observed_value is not None:
        component["observedValue"] = last.observed_value
        component["observedUnit"] = last.observed_unit
    if entry.state.status is not Status.PASS:
        component["output"] = entry.output
    return component


def iso(instant: Instant) -> str:
    """RFC 3339, UTC, milliseconds."""
    return iso_epoch(instant.epoch_seconds)


def iso_epoch(epoch_seconds: float) -> str:
    moment = datetime.fromtimestamp(epoch_seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
