"""What is degraded, as JSON: the same for the API, the CLI and the library's readers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from oatie_ops.degradation.bulletin import Bulletin
from oatie_ops.degradation.decision import Decision, Now, effective


def status(bulletin: Bulletin, now: Now) -> dict[str, Any]:
    """Every service that has a switch, the degraded ones first."""
    counting = effective(bulletin.decisions, now)
    names = {*bulletin.rules, *(each.service for each in bulletin.decisions)}
    services = {
        name: service(name, bulletin, counting.get(name), now)
        for name in sorted(names, key=lambda name: (not _level(counting.get(name)), name))
    }
    degraded = [name for name, told in services.items() if told["degraded"]]
    return {
        "degraded": bool(degraded),
        "degraded_services": degraded,
        "stale": bulletin.stale or None,
        "problem": bulletin.problem or None,
        "services": services,
    }


def service(name: str, bulletin: Bulletin, counts: Decision | None, now: Now) -> dict[str, Any]:
    """``decisions`` are all of them, also those that others go before."""
    of_it = [each for each in bulletin.decisions if each.service == name and not each.over(now)]
    return {
        "degraded": _level(counts) > 0,
        "level": _level(counts),
        "owner": counts.owner if counts else None,
        "reason": counts.reason if counts else None,
        "actor": counts.actor if counts else None,
        "since": iso(counts.started_at) if counts else None,
        "until": _until(counts, now) if counts else None,
        "left_seconds": _left(counts, now) if counts else None,
        "routes": list(bulletin.rules.get(name, {}).get("routes", ())),
        "decisions": [decision(each, now, counts=each is counts) for each in of_it],
    }


def decision(made: Decision, now: Now, *, counts: bool) -> dict[str, Any]:
    return {
        "service": made.service,
        "owner": made.owner,
        "level": made.level,
        "reason": made.reason,
        "cause": made.cause,
        "actor": made.actor,
        "origin": made.origin,
        "host": made.host or None,
        "since": iso(made.started_at),
        "until": _until(made, now),
        "left_seconds": _left(made, now),
        "overruled_by": made.overruled_by or None,
        "counts": counts,
    }


def iso(epoch_seconds: float) -> str:
    """RFC 3339, UTC, milliseconds."""
    moment = datetime.fromtimestamp(epoch_seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(made: Decision | None) -> int:
    return made.level if made else 0


def _left(made: Decision, now: Now) -> float | None:
    left = made.left_seconds(now)
    return None if left is None else round(left, 3)


def _until(made: Decision, now: Now) -> str | None:
    """By today's wall clock, which may have been stepped since the decision."""
    left = made.left_seconds(now)
    return None if left is None else iso(now.epoch_seconds + left)
