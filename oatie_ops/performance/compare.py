"""Is one set of starts slower than another? All pure, exact where the sets are small.

History can only raise a suspicion: the machine was in another mood on another day (on a noisy host every
test of new runs against old ones raises false alarms in 29 to 55 % of cases). Only runs that alternate, old
and new, in the same minutes confirm: the pairs share the mood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any

P_VALUE = 0.01
MIN_RATIO = 1.04
SUSPECT_RATIO = 1.05
MIN_HISTORY = 5
MIN_PAIRS = 8
EXACT_UP_TO = 25


class Verdict(StrEnum):
    UNKNOWN = "unknown"  # too few starts
    SAME = "no difference found"
    SUSPECTED_SLOWER = "suspected slower"
    SUSPECTED_FASTER = "suspected faster"
    CONFIRMED_SLOWER = "confirmed slower"
    CONFIRMED_FASTER = "confirmed faster"


@dataclass(frozen=True)
class Comparison:
    """``ratio``: new to old, of the medians (of the pairs, where there are pairs)."""

    verdict: Verdict
    method: str
    old_seconds: float
    new_seconds: float
    ratio: float
    p_value: float | None
    n: int
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "verdict": self.verdict.value}


def suspect(old: Sequence[float], new: Sequence[float]) -> Comparison:
    """From history: at most a suspicion. Mann-Whitney and a shift of the median of 5 %."""
    method = "history (Mann-Whitney U)"
    if len(old) < MIN_HISTORY or len(new) < 3:
        why = f"{len(old)} old and {len(new)} new starts are known; {MIN_HISTORY} and 3 are needed; "
        why += "--verify runs both and needs no history"
        return _unknown(method, old, new, why)
    before, after = median(old), median(new)
    ratio, p = after / before, mann_whitney(old, new)
    verdict = Verdict.SAME
    if p < P_VALUE and ratio > SUSPECT_RATIO:
        verdict = Verdict.SUSPECTED_SLOWER
    elif p < P_VALUE and ratio < 1 / SUSPECT_RATIO:
        verdict = Verdict.SUSPECTED_FASTER
    return Comparison(
        verdict,
        method,
        before,
        after,
        ratio,
        p,
        min(len(old), len(new)),
        "the machine may have been slower or faster then; only --verify can confirm",
    )


def confirm(pairs: Sequence[tuple[float, float]]) -> Comparison:
    """From (old, new) starts that alternated. Wilcoxon's signed-rank test and a median ratio of 4 %."""
    method = "interleaved pairs (Wilcoxon signed-rank)"
    old, new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if len(pairs) < MIN_PAIRS:
        return _unknown(method, old, new, f"{len(pairs)} pairs were run; {MIN_PAIRS} are needed")
    ratio = median(n / o for o, n in pairs)
    p = wilcoxon([n - o for o, n in pairs])
    verdict = Verdict.SAME
    if p < P_VALUE and ratio > MIN_RATIO:
        verdict = Verdict.CONFIRMED_SLOWER
    elif p < P_VALUE and ratio < 1 / MIN_RATIO:
        verdict = Verdict.CONFIRMED_FASTER
    return Comparison(verdict, method, median(old), median(new), ratio, p, len(pairs))


def wilcoxon(differences: Sequence[float]) -> float:
    """Two-sided p of the signed-rank test; exact up to `EXACT_UP_TO` differences without ties.

    Wilcoxon (1945); the exact distribution of the rank sum by counting subsets, the normal approximation
    with the correction for ties (Hollander & Wolfe, §3.1). Differences of zero are left out.
    """
    nonzero = [d for d in differences if d]
    n = len(nonzero)
    if n == 0:
        return 1.0
    ranks = _ranks([abs(d) for d in nonzero])
    plus = sum(rank for rank, d in zip(ranks, nonzero, strict=True) if d > 0)
    tied = len(set(ranks)) < n
    if n <= EXACT_UP_TO and not tied:
        lower = min(plus, n * (n + 1) / 2 - plus)
        return min(1.0, _subsets_up_to(n, int(lower)) / float(2 ** (n - 1)))
    mean = n * (n + 1) / 4
    correction = sum(t**3 - t for t in _tie_sizes(ranks)) / 48
    deviation = math.sqrt(n * (n + 1) * (2 * n + 1) / 24 - correction)
    return _two_sided(abs(plus - mean) - 0.5, deviation)


def mann_whitney(old: Sequence[float], new: Sequence[float]) -> float:
    """Two-sided p (Mann & Whitney 1947): exact for small sets without ties.

    Else the normal approximation with the correction for ties.
    """
    n, m = len(old), len(new)
    ranks = _ranks([*old, *new])
    u = sum(ranks[:n]) - n * (n + 1) / 2
    if n + m <= EXACT_UP_TO and len(set(ranks)) == n + m:
        lower = int(min(u, n * m - u)) + n * (n + 1) // 2
        return min(1.0, 2 * _subsets_of_size_up_to(n, n + m, lower) / math.comb(n + m, n))
    ties = sum(t**3 - t for t in _tie_sizes(ranks))
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    return _two_sided(abs(u - n * m / 2) - 0.5, math.sqrt(variance))


def _two_sided(distance: float, deviation: float) -> float:
    if deviation == 0:
        return 1.0
    return min(1.0, math.erfc(max(0.0, distance) / deviation / math.sqrt(2)))


def _subsets_up_to(n: int, limit: int) -> int:
    """How many subsets of 1 … n have a sum of at most ``limit``."""
    counts = [1] + [0] * limit
    for rank in range(1, n + 1):
        for total in range(limit, rank - 1, -1):
            counts[total] += counts[total - rank]
    return sum(counts)


def _subsets_of_size_up_to(size: int, n: int, limit: int) -> int:
    """How many subsets of ``size`` of 1 … n have a sum of at most ``limit``."""
    counts = [[1 if k == total == 0 else 0 for total in range(limit + 1)] for k in range(size + 1)]
    for rank in range(1, n + 1):
        for k in range(min(rank, size), 0, -1):
            for total in range(limit, rank - 1, -1):
                counts[k][total] += counts[k - 1][total - rank]
    return sum(counts[size])


def _ranks(values: Sequence[float]) -> list[float]:
    """From 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for place in range(first, last + 1):
            ranks[order[place]] = (first + last) / 2 + 1
        first = last + 1
    return ranks


def _tie_sizes(ranks: Sequence[float]) -> list[int]:
    counts: dict[float, int] = {}
    for rank in ranks:
        counts[rank] = counts.get(rank, 0) + 1
    return [count for count in counts.values() if count > 1]


def _unknown(method: str, old: Sequence[float], new: Sequence[float], why: str) -> Comparison:
    before, after = (median(values) if values else math.nan for values in (old, new))
    return Comparison(
        Verdict.UNKNOWN, method, before, after, after / before, None, min(len(old), len(new)), why
    )
