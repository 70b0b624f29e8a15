"""One group of equal errors as a value, and the summary that is made of many. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from oatie_ops.records import dataclass

SEVERITIES = ("info", "warning", "error", "critical")
SHOWN_GROUPS = 20


@dataclass(frozen=True)
class ErrorReport:
    """``count`` equal errors of one service; ``first_at`` and ``last_at`` in epoch seconds.

    ``recovery``: what was tried against it, such as "retry" or "fallback"; ``outcome``: how that ended.
    ``sample``: one traceback as text.
    """

    fingerprint: str
    service: str
    kind: str
    culprit: str
    message: str
    severity: str
    count: int
    first_at: float
    last_at: float
    release: str = ""
    sample: str = ""
    recovery: str = ""
    outcome: str = ""

    def joined(self, later: ErrorReport) -> ErrorReport:
        worst = max(self.severity, later.severity, key=SEVERITIES.index)
        return replace(
            later,
            severity=worst,
            count=self.count + later.count,
            first_at=min(self.first_at, later.first_at),
            last_at=max(self.last_at, later.last_at),
            release=later.release or self.release,
            sample=later.sample or self.sample,
            recovery=later.recovery or self.recovery,
            outcome=later.outcome if later.recovery else self.outcome,
        )


def summary(groups: Iterable[ErrorReport], *, shown: int = SHOWN_GROUPS) -> dict[str, Any]:
    """``groups`` newest first; counts cover all of them, ``groups`` in the answer the newest ``shown``."""
    ordered = sorted(groups, key=lambda group: group.last_at, reverse=True)
    by_service: dict[str, int] = {}
    by_severity = dict.fromkeys(SEVERITIES, 0)
    recoveries: dict[str, dict[str, int]] = {}
    for group in ordered:
        by_service[group.service] = by_service.get(group.service, 0) + group.count
        by_severity[group.severity] += group.count
        if group.recovery:
            ways = recoveries.setdefault(group.recovery, {})
            ways[group.outcome or "unknown"] = ways.get(group.outcome or "unknown", 0) + 1
    return {
        "total_errors": sum(by_service.values()),
        "group_count": len(ordered),
        "by_service": by_service,
        "by_severity": by_severity,
        "recoveries": recoveries,
        "last_at": ordered[0].last_at if ordered else None,
        "groups": [asdict(group) for group in ordered[:shown]],
    }


def lines(found: dict[str, Any], now: float) -> Sequence[str]:
    """A summary for a terminal, without colour: one line per group, newest first."""
    if not found["groups"]:
        return ["no errors have been recorded"]
    errors, groups = found["total_errors"], found["group_count"]
    head = f"{errors} error{'' if errors == 1 else 's'} in {groups} group{'' if groups == 1 else 's'}"
    shown = []
    for group in found["groups"]:
        tried = f"; {group['recovery']}: {group['outcome'] or 'unknown'}" if group["recovery"] else ""
        where = f" in {group['culprit']}" if group["culprit"] else ""
        message = f": {group['message'].splitlines()[0]}" if group["message"] else ""
        shown += [
            f"{group['severity']:<8}  {group['service']}  {group['count']}x  {_ago(now - group['last_at'])}  "
            f"[{group['fingerprint'][:8]}]",
            f"          {group['kind']}{where}{message}{tried}",
        ]
    return [head, *shown]


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit} ago"
    return f"{max(0.0, seconds):.0f}s ago"
