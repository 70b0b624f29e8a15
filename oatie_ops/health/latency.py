"""How long a check takes: exact percentiles of a bounded number of the latest samples."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
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
    """The latest `WINDOW` samples, in seconds, as 32-bit floats: 1.4 KiB."""

    def __init__(self) -> None:
        self._samples = array("f")

    def add(self, seconds: float) -> None:
        if len(self._samples) >= WINDOW:
            del self._samples[0]
        self._samples.append(seconds)

    def summary(self) -> Latency:
        ordered = sorted(self._samples)
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

    def microseconds(self) -> list[int]:
        """For the store: half the size of the floats."""
        return [round(seconds * 1e6) for seconds in self._samples]


def counts(spec: CheckSpec, result: Result) -> bool:
    """Answers and time-outs. Leaving the time-outs out would hide exactly the slow ones."""
    if spec.type in UNTIMED:
        return False
    return result.status in (Status.PASS, Status.WARN) or result.trouble == "timeout"


def _rank(ordered: list[float], share: float) -> float:
    """The nearest-rank percentile: a value that was really measured."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
