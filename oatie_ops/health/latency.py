"""How long a check takes: exact percentiles of a bounded number of the latest samples."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from math import ceil

from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.standing import Latency

# An hour of checks every ten seconds.
WINDOW = 360
RECENT = 40
# What these take tells about the host or about nothing, not about how fast a service answers.
UNTIMED = frozenset(
    {"workers", "needs", "store", "heartbeat", "process", "disk", "memory", "cpu", "load", "fds", "pressure"}
    | {"diskio", "network"}
)


class LatencyWindow:
    """The latest `WINDOW` samples, in seconds, as 32-bit floats, and the same in order: 2.8 KiB.

    Kept in order, because a summary is due after every sample and sorting is twenty times dearer.
    """

    def __init__(self) -> None:
        self._samples = array("f")
        self._ordered = array("f")

    def add(self, seconds: float) -> None:
        if len(self._samples) >= WINDOW:
            del self._ordered[bisect_left(self._ordered, self._samples[0])]
            del self._samples[0]
        self._samples.append(seconds)
        insort(self._ordered, self._samples[-1])  # as 32 bits hold it, to be found again

    def summary(self) -> Latency:
        ordered = self._ordered
        if not ordered:
            return Latency()
        return Latency(
            _rank(ordered, 0.50),
            _rank(ordered, 0.95),
            _rank(ordered, 0.99),
            len(ordered),
            tuple(self._samples[-RECENT:]),
        )

    def prepend(self, older: Iterable[int]) -> None:
        """Samples, in microseconds, from before these."""
        self._samples = array("f", [*(value / 1e6 for value in older), *self._samples][-WINDOW:])
        self._ordered = array("f", sorted(self._samples))

    def microseconds(self) -> list[int]:
        """For the store: half the size of the floats."""
        return [round(seconds * 1e6) for seconds in self._samples]


def counts(spec: CheckSpec, result: Result) -> bool:
    """Answers and time-outs. Leaving the time-outs out would hide exactly the slow ones."""
    if spec.type in UNTIMED:
        return False
    return result.status in (Status.PASS, Status.WARN) or result.trouble == "timeout"


def _rank(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: a value that was really measured."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
