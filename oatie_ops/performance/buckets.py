"""Buckets of measurements: minimum, mean, maximum and 95th percentile of what was measured in a span of time.

All pure. A gap is a bucket with the count 0, whose values are NaN: nothing is ever filled in.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

NAN = math.nan
PERCENTILE = 0.95


@dataclass(frozen=True)
class Bucket:
    """``start`` in epoch seconds; ``count`` measurements, never 0."""

    start: float
    seconds: float
    count: int
    min: float
    mean: float
    max: float
    p95: float


def _counts() -> array[int]:
    return array("H")


def _floats() -> array[float]:
    return array("f")


@dataclass(frozen=True)
class History:
    """One series as columns of equal length, oldest first. Bucket i begins at start + i * step_seconds."""

    series: str
    start: int
    step_seconds: int
    counts: array[int] = field(default_factory=_counts)
    mins: array[float] = field(default_factory=_floats)
    means: array[float] = field(default_factory=_floats)
    maxes: array[float] = field(default_factory=_floats)
    p95s: array[float] = field(default_factory=_floats)

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def gaps(self) -> int:
        """How many of the buckets are empty."""
        return self.counts.count(0)

    def buckets(self) -> Iterator[Bucket]:
        """Those that are not gaps."""
        for i, count in enumerate(self.counts):
            if count:
                yield Bucket(
                    self.start + i * self.step_seconds,
                    self.step_seconds,
                    count,
                    self.mins[i],
                    self.means[i],
                    self.maxes[i],
                    self.p95s[i],
                )

    def points(self) -> list[tuple[float, float]]:
        """(epoch seconds of the middle, mean), without the gaps."""
        step, start = self.step_seconds, self.start + self.step_seconds / 2
        return [
            (start + i * step, mean)
            for i, (count, mean) in enumerate(zip(self.counts, self.means, strict=True))
            if count
        ]


def blank(series: str, start: int, step_seconds: int, length: int) -> History:
    """Nothing but gaps."""
    nothing = array("f", [NAN]) * length
    return History(
        series,
        start,
        step_seconds,
        array("H", bytes(2 * length)),
        nothing,
        nothing[:],
        nothing[:],
        nothing[:],
    )


def percentile(ordered: Sequence[float], share: float = PERCENTILE) -> float:
    """By nearest rank: a value that was measured. ``ordered`` must not be empty."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summarise(values: Sequence[float]) -> tuple[int, float, float, float, float]:
    """(count, min, mean, max, p95) of single measurements; NaN among them was not measured."""
    ordered = sorted(value for value in values if value == value)  # noqa: PLR0124 - NaN is unlike itself
    if not ordered:
        return 0, NAN, NAN, NAN, NAN
    count = len(ordered)
    return count, ordered[0], math.fsum(ordered) / count, ordered[-1], percentile(ordered)


def merge(
    buckets: Sequence[tuple[int, float, float, float, float]],
) -> tuple[int, float, float, float, float]:
    """One bucket of several (count, min, mean, max, p95).

    Exact but for the percentile, which lies between the smallest and the largest of the parts' percentiles:
    it is taken as their own 95th percentile, weighted by count.
    """
    real = [bucket for bucket in buckets if bucket[0]]
    if not real:
        return 0, NAN, NAN, NAN, NAN
    total = sum(bucket[0] for bucket in real)
    need, seen, p95 = math.ceil(PERCENTILE * total), 0, NAN
    for count, value in sorted(((b[0], b[4]) for b in real), key=lambda pair: pair[1]):
        seen += count
        p95 = value
        if seen >= need:
            break
    return (
        min(total, 65535),
        min(bucket[1] for bucket in real),
        math.fsum(bucket[0] * bucket[2] for bucket in real) / total,
        max(bucket[3] for bucket in real),
        p95,
    )


def coarser(history: History, factor: int) -> History:
    """Every ``factor`` buckets as one; the last may be made of fewer."""
    if factor <= 1:
        return history
    columns = list(zip(history.counts, history.mins, history.means, history.maxes, history.p95s, strict=True))
    merged = [merge(columns[i : i + factor]) for i in range(0, len(columns), factor)]
    counts, mins, means, maxes, p95s = zip(*merged, strict=True) if merged else ((), (), (), (), ())
    return History(
        history.series,
        history.start,
        history.step_seconds * factor,
        array("H", counts),
        array("f", mins),
        array("f", means),
        array("f", maxes),
        array("f", p95s),
    )
