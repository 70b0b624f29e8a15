"""Following the load with the number of workers, minute by minute. Decides; `oatie_ops.supervisor` acts.

Demand is in busy workers: arrivals times what one request keeps busy of a worker, which is its whole time
where a worker does one after the other, its processor time where an event loop awaits (Little's law).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from oatie_ops.performance.tiers import MINUTE
from oatie_ops.scaling.advise_workers import lacking_minutes, memory_cap
from oatie_ops.scaling.advisor import Advisor
from oatie_ops.scaling.observed import Observed
from oatie_ops.scaling.queueing import workers_for
from oatie_ops.scaling.setup import Setup

STEP_UP = 2  # at most so many times what runs, at one decision


@dataclass(frozen=True)
class Decision:
    """``workers`` None: nothing is changed, for the reason."""

    workers: int | None
    reason: str


class Follower:
    """One for as long as the bounds stay the same; the history is fed to it once."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._advisor = Advisor(setup)
        self._fed_until = 0.0

    def decide(self, seen: Observed, running: int) -> Decision:
        """Takes a second the first time, for a week of history; a moment later on."""
        lacking = lacking_minutes(seen)
        if lacking:
            return Decision(None, f"needs {lacking} more minutes of load above 1 rps")
        each = busy_seconds(seen)
        if each <= 0:
            return Decision(None, "no processor time was measured for the requests")
        wanted = self._feed(seen, each)
        most = most_useful(seen)
        capped = max(self._setup.min_replicas, min(wanted, most, STEP_UP * running))
        told = (
            f"{wanted} by the load" if capped == wanted else f"{wanted} by the load, {capped} by its limits"
        )
        return Decision(capped, told)

    def _feed(self, seen: Observed, each: float) -> int:
        wanted = self._setup.min_replicas
        newest = seen.start + seen.minutes * MINUTE
        first = max(0, math.ceil((self._fed_until - seen.start) / MINUTE)) if self._fed_until else 0
        for minute in range(first, seen.minutes):
            rate = seen.arrivals[minute]
            hidden = (seen.accept_queue_most[minute] or 0.0) >= 1.0 and rate is not None
            demand = None if rate is None else rate * each * (1.5 if hidden else 1.0)
            wanted = self._advisor.observe(demand)
        if first >= seen.minutes:
            wanted = self._advisor.lane.wanted
        self._fed_until = newest
        return wanted


def busy_seconds(seen: Observed) -> float:
    """What one request keeps busy of a worker."""
    slots = seen.places_at_a_time
    if slots is None:
        return seen.cpu_seconds
    return max(seen.cpu_seconds, (seen.cpu_seconds + seen.wait_seconds) / slots)


def most_useful(seen: Observed) -> int:
    """More workers than this do nothing more on these cores, or do not fit into the memory."""
    cap = memory_cap(seen)
    useful = workers_for(seen.places_at_a_time, seen.cores, seen.cpu_seconds, seen.wait_seconds, cap)
    return max(1, math.ceil(useful))
