"""One page of all that is measured, with a score whose parts are shown. All pure.

Each part is a number that was measured, put on a scale from 0 (bad) to 100 (good) between two stated ends;
the score is their mean by weight. What is not known has no part in it and is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oatie_ops.performance.compare import Verdict
from oatie_ops.performance.startstats import StartStats
from oatie_ops.performance.trends import Trend, Trends
from oatie_ops.performance.usage import Usage

# name: (weight, value that is worth 100, value that is worth 0, what the value is)
SCALES: dict[str, tuple[float, float, float, str]] = {
    "cpu": (20, 60.0, 95.0, "95th percentile of the processor time in use, percent"),
    "memory": (20, 70.0, 95.0, "highest memory in use, percent"),
    "disk": (10, 75.0, 97.0, "disk space in use, percent"),
    "pressure": (10, 5.0, 50.0, "highest mean pressure of cpu, memory and io, percent of the time"),
    "errors": (20, 0.0, 5.0, "answers of 500 and above, percent"),
    "startup": (10, 3.0, 60.0, "median start of the newest release, seconds"),
    "findings": (10, 0.0, 2.0, "leaks and things that run out"),
    "scaling": (10, 0.0, 2.0, "urgent changes of size that are recommended"),
}
GRADES = ((90.0, "A"), (75.0, "B"), (60.0, "C"), (40.0, "D"), (0.0, "E"))
REGRESSION_COSTS = 30.0


@dataclass(frozen=True)
class Part:
    """``score`` None: ``value`` is not known."""

    name: str
    weight: float
    score: float | None
    value: float | None
    what: str
    note: str = ""


@dataclass(frozen=True)
class Overview:
    """``score`` None where nothing is known."""

    hours: float
    score: float | None
    grade: str
    parts: tuple[Part, ...]
    usage: Usage | None
    trends: Trends
    startup: StartStats
    scaling: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "hours": self.hours,
            "score": self.score,
            "grade": self.grade,
            "parts": [dict(part.__dict__) for part in self.parts],
            "resources": None if self.usage is None else self.usage.as_dict(),
            "coverage": round(self.trends.coverage, 4),
            "findings": [finding.as_dict() for finding in self.trends.findings],
            "startup": self.startup.as_dict(),
            "scaling": None if self.scaling is None else dict(self.scaling),
        }


def overview(
    usage: Usage | None,
    trends: Trends,
    startup: StartStats,
    scaling: Mapping[str, Any] | None = None,
) -> Overview:
    parts = tuple(_parts(trends, startup, scaling))
    known = [part for part in parts if part.score is not None]
    weight = sum(part.weight for part in known)
    score = round(sum(part.weight * (part.score or 0.0) for part in known) / weight, 1) if known else None
    grade = "unknown" if score is None else next(grade for least, grade in GRADES if score >= least)
    return Overview(trends.hours, score, grade, parts, usage, trends, startup, scaling)


def _parts(trends: Trends, startup: StartStats, scaling: Mapping[str, Any] | None) -> Iterable[Part]:
    values = {
        "cpu": _highest(trends, "cpu_percent", "p95"),
        "memory": _highest(trends, "memory_percent", "max"),
        "disk": _last(trends.series.get("host.disk_percent")),
        "pressure": _pressure(trends),
        "errors": _errors(trends),
        "startup": _start_seconds(startup),
        "findings": float(len(trends.findings)) if trends.coverage > 0 else None,
        "scaling": _urgent(scaling),
    }
    for name, (weight, good, bad, what) in SCALES.items():
        value = values[name]
        score = None if value is None else 100.0 * min(1.0, max(0.0, (bad - value) / (bad - good)))
        note = ""
        if name == "startup" and score is not None and _slower(startup):
            score, note = max(0.0, score - REGRESSION_COSTS), "suspected slower than the release before"
        elif name == "findings":
            note = "; ".join(finding.message for finding in trends.findings)
        shown = None if value is None else round(value, 3)
        yield Part(name, weight, None if score is None else round(score, 1), shown, what, note)


def _highest(trends: Trends, name: str, column: str) -> float | None:
    """Of the group with limits where there is one, else of the host."""
    trend = trends.series.get(f"cgroup.{name}") or trends.series.get(f"host.{name}")
    if trend is None:
        return None
    history = trend.history
    found = [
        value
        for count, value in zip(
            history.counts, history.p95s if column == "p95" else history.maxes, strict=True
        )
        if count
    ]
    if not found:
        return None
    return sorted(found)[max(0, round(0.95 * len(found)) - 1)] if column == "p95" else max(found)


def _last(trend: Trend | None) -> float | None:
    points = trend.history.points() if trend else []
    return points[-1][1] if points else None


def _mean(trend: Trend | None) -> float | None:
    points: Sequence[tuple[float, float]] = trend.history.points() if trend else []
    return sum(value for _, value in points) / len(points) if points else None


def _pressure(trends: Trends) -> float | None:
    means = [
        mean
        for what in ("cpu", "memory", "io")
        if (mean := _mean(trends.series.get(f"host.pressure_{what}_percent"))) is not None
    ]
    return max(means, default=None)


def _errors(trends: Trends) -> float | None:
    arrived, failed = (_mean(trends.series.get(f"app.{name}")) for name in ("arrivals_per_s", "errors_per_s"))
    if not arrived or failed is None:
        return None
    return min(100.0, 100.0 * failed / arrived)


def _start_seconds(startup: StartStats) -> float | None:
    return next((stats.median_seconds for stats in startup.releases if stats.kind == "worker"), None)


def _urgent(scaling: Mapping[str, Any] | None) -> float | None:
    """None where too little is known to recommend anything."""
    if scaling is None or not scaling["recommendations"]:
        return None
    return float(sum(one["priority"] == "high" for one in scaling["recommendations"]))


def _slower(startup: StartStats) -> bool:
    return startup.regression is not None and startup.regression.verdict is Verdict.SUSPECTED_SLOWER
