"""Rates from counters that may wrap, be reset or belong to another process than before. All pure."""

from __future__ import annotations

from collections.abc import Mapping

# Counters of 32 bits wrap; what has just passed the edge was below it by no more than this share.
WRAP = 1 << 32
WRAP_NEAR = 0.95


def delta(before: float, now: float) -> float | None:
    """What was counted between; None where the counter was reset, because nobody knows how much it was.

    A counter that was near 2^32 and is small now has wrapped, as those of old kernels and drivers do.
    """
    if now >= before:
        return now - before
    if WRAP_NEAR * WRAP <= before < WRAP and now < (1 - WRAP_NEAR) * WRAP:
        return now - before + WRAP
    return None


def rates(before: Mapping[str, float], now: Mapping[str, float], seconds: float) -> dict[str, float]:
    """By name, per second. Left out: what is new, was reset, and everything where no time has passed."""
    if seconds <= 0:
        return {}
    found = {}
    for name, value in now.items():
        if name in before and (counted := delta(before[name], value)) is not None:
            found[name] = counted / seconds
    return found
