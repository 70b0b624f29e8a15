"""Whether a series goes up or down, said so that one outlier cannot say otherwise. All pure.

Theil-Sen: the slope is the median of the slopes between all pairs of points (Theil 1950, Sen 1968). Its
confidence interval comes from the variance of Kendall's S: with n points,
``C = z * sqrt(n (n - 1) (2 n + 5) / 18)``, and the interval runs between the slopes of rank ``(N - C) / 2``
and ``(N + C) / 2`` of the N ordered ones (Sen 1968, §4; Gilbert 1987, §16.5).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Z_95 = 1.96
# Pairs grow with the square; so many points say it as well as all of them.
MAX_POINTS = 32
MIN_POINTS = 8


@dataclass(frozen=True)
class Slope:
    """Per hour, with the 95 % interval ``low`` … ``high``. ``share`` of the pairs go the slope's way."""

    per_hour: float
    low: float
    high: float
    share: float
    points: int
    level: float  # the fitted value at the end
    span_seconds: float

    @property
    def certain(self) -> bool:
        """The interval does not hold zero."""
        return self.low > 0 or self.high < 0


def theil_sen(points: Sequence[tuple[float, float]]) -> Slope | None:
    """Of (epoch seconds, value), in order of time; None below `MIN_POINTS`."""
    thinned = _thinned(points)
    n = len(thinned)
    if n < MIN_POINTS:
        return None
    slopes = [
        (y2 - y1) / (t2 - t1) for i, (t1, y1) in enumerate(thinned) for t2, y2 in thinned[i + 1 :] if t2 > t1
    ]
    if not slopes:
        return None
    slopes.sort()
    total = len(slopes)
    middle = slopes[total // 2] if total % 2 else (slopes[total // 2 - 1] + slopes[total // 2]) / 2
    spread = Z_95 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = slopes[max(0, math.floor((total - spread) / 2))]
    high = slopes[min(total - 1, math.ceil((total + spread) / 2))]
    rising = total - bisect_left(slopes, 0.0)
    share = rising / total if middle >= 0 else 1 - rising / total
    end = thinned[-1][0]
    offsets = sorted(y - middle * (t - end) for t, y in thinned)
    return Slope(
        per_hour=middle * 3600,
        low=low * 3600,
        high=high * 3600,
        share=share,
        points=n,
        level=offsets[n // 2],
        span_seconds=end - thinned[0][0],
    )


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `MAX_POINTS`, each the median value of its share of the points."""
    n = len(points)
    if n <= MAX_POINTS:
        return list(points)
    edges = [round(i * n / MAX_POINTS) for i in range(MAX_POINTS + 1)]
    found = []
    for first, last in pairwise(edges):
        part = points[first:last]
        middle = sorted(value for _, value in part)[len(part) // 2]
        found.append(((part[0][0] + part[-1][0]) / 2, middle))
    return found
