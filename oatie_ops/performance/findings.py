"""What a trend means, said only where it is one: a disk that fills, memory that leaks. All pure.

A slope is called a trend when its 95 % interval does not hold zero, nearly all pairs of points agree with it,
and both halves of the time show it by themselves: a cache that has filled up, a daily wave or a step does not
pass. How far ahead is looked depends on how far back it was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oatie_ops.performance.slope import Slope, theil_sen

HOUR, DAY = 3600.0, 86_400.0
AGREEING_SHARE = 0.85
MIN_SPAN_SECONDS = 30 * 60.0
MIN_POINTS = 16
HORIZON_FACTOR = 24.0
MAX_HORIZON_SECONDS = 30 * DAY
# The first minutes of a process fill its caches.
WARM_UP_SECONDS = 300.0
MIN_GROWTH_SHARE = 0.05
MIN_GROWTH_BYTES = 5e6
MIN_GROWTH_FILES = 20.0

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Finding:
    """``kind``: disk-full, memory-full, memory-leak or fd-leak. ``eta_seconds`` with its 95 % interval."""

    kind: str
    subject: str
    severity: str  # warn or fail
    message: str
    series: str
    per_hour: float
    low_per_hour: float
    high_per_hour: float
    eta_seconds: float | None = None
    eta_low_seconds: float | None = None
    eta_high_seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def trend(points: Points) -> Slope | None:
    """A slope that deserves the name; None where it does not, or where there is too little to tell."""
    slope = theil_sen(points)
    if slope is None or len(points) < MIN_POINTS or slope.span_seconds < MIN_SPAN_SECONDS:
        return None
    if not slope.certain or slope.share < AGREEING_SHARE:
        return None
    half = len(points) // 2
    for part in (points[:half], points[half:]):
        other = theil_sen(part)
        if other is None or not other.certain or (other.per_hour > 0) != (slope.per_hour > 0):
            return None
    return slope


def disk_full(points: Points, series: str, mount: str) -> Finding | None:
    """``points``: free bytes over time."""
    slope = trend(points)
    if slope is None or slope.per_hour >= 0:
        return None
    return _runs_out("disk-full", f"disk full ({mount})", series, slope, slope.level)


def memory_full(points: Points, series: str, limit_bytes: float, whose: str) -> Finding | None:
    """``points``: used bytes over time."""
    slope = trend(points)
    if slope is None or slope.per_hour <= 0:
        return None
    return _runs_out("memory-full", f"memory of {whose} full", series, slope, limit_bytes - slope.level)


def leak(points: Points, series: str, worker: str, *, born: float) -> Finding | None:
    """``points``: resident bytes of one process, of which those of its warm-up are left out."""
    slope = _growth(points, born)
    if slope is None or _grown(slope) < max(MIN_GROWTH_BYTES, MIN_GROWTH_SHARE * slope.level):
        return None
    rate = f"{slope.per_hour / 1e6:.3g} MB/h ({slope.low / 1e6:.3g} to {slope.high / 1e6:.3g})"
    return _finding("memory-leak", worker, series, slope, f"memory leak of {rate} in {worker}")


def fd_leak(points: Points, series: str, worker: str, *, born: float) -> Finding | None:
    slope = _growth(points, born)
    if slope is None or _grown(slope) < max(MIN_GROWTH_FILES, MIN_GROWTH_SHARE * slope.level):
        return None
    rate = f"{slope.per_hour:.3g} open files an hour ({slope.low:.3g} to {slope.high:.3g})"
    return _finding("fd-leak", worker, series, slope, f"leak of {rate} in {worker}")


def _growth(points: Points, born: float) -> Slope | None:
    slope = trend([point for point in points if point[0] >= born + WARM_UP_SECONDS])
    return slope if slope is not None and slope.per_hour > 0 else None


def _grown(slope: Slope) -> float:
    return slope.per_hour * slope.span_seconds / HOUR


def _finding(kind: str, subject: str, series: str, slope: Slope, message: str) -> Finding:
    return Finding(kind, subject, "warn", message, series, slope.per_hour, slope.low, slope.high)


def _runs_out(kind: str, what: str, series: str, slope: Slope, left: float) -> Finding | None:
    """When ``left`` is gone at this pace; None beyond the horizon."""
    paces = sorted(abs(pace) for pace in (slope.low, slope.per_hour, slope.high))
    soonest, likely, latest = (
        max(0.0, left) / pace * HOUR for pace in (paces[2], abs(slope.per_hour), paces[0])
    )
    if likely > min(MAX_HORIZON_SECONDS, HORIZON_FACTOR * slope.span_seconds):
        return None
    message = f"{what} in {in_words(likely)} ({in_words(soonest)} to {in_words(latest)})"
    return Finding(
        kind,
        what,
        "fail" if likely < DAY else "warn",
        message,
        series,
        slope.per_hour,
        slope.low,
        slope.high,
        likely,
        soonest,
        latest,
    )


def in_words(seconds: float) -> str:
    for unit, size in (("days", DAY), ("hours", HOUR), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
