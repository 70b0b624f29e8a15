"""The rules of the game that every policy is replayed under, and the lane that keeps its score.

Time runs in steps. A decision is taken at the end of a step and has seen the load up to and including it.
Replicas that are added serve ``startup_steps`` + 1 steps later at the earliest; those taken away go at once.
A step is *violated* where what arrived and what was left over exceed 0.9 of the ready capacity.
What cannot be served within 10 s is lost. Demand is measured in replicas: 3.2 keeps 3.2 replicas busy.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

KNEE = 0.9  # of the ready capacity: above it, waiting grows without bound
QUEUE_SECONDS = 10.0  # who has waited this long has left
ROUNDING = 1e-9
HPA_HOLD_SECONDS = 300.0
DAY_SECONDS = 86_400.0
WEEK_SECONDS = 7 * DAY_SECONDS


@dataclass(frozen=True)
class Setup:
    """``budget`` is the share of steps that may be violated."""

    step_seconds: float = 60.0
    startup_seconds: float = 60.0
    budget: float = 0.005
    min_replicas: int = 1
    max_replicas: int = 1_000_000

    # Derived, once: replaying asks for them hundreds of times a step.
    startup_steps: int = field(init=False)
    horizon: int = field(init=False)  # steps after the newest load at which a replica asked for now serves
    backlog_share: float = field(init=False)  # the most that may wait, as a share of the ready capacity
    hold_steps: int = field(init=False)

    def __post_init__(self) -> None:
        startup_steps = math.ceil(self.startup_seconds / self.step_seconds - ROUNDING)
        derived = {
            "startup_steps": startup_steps,
            "horizon": startup_steps + 1,
            "backlog_share": QUEUE_SECONDS / self.step_seconds,
            "hold_steps": self.steps(HPA_HOLD_SECONDS),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def steps(self, seconds: float) -> int:
        return max(1, round(seconds / self.step_seconds))

    def bounded(self, replicas: int) -> int:
        if replicas < self.min_replicas:
            return self.min_replicas
        return replicas if replicas <= self.max_replicas else self.max_replicas


def needed(demand: float) -> int:
    """The fewest replicas that serve this demand without a violation; at least one."""
    return max(1, math.ceil(demand / KNEE - ROUNDING))


@dataclass(slots=True)
class Lane:
    """One policy's world: which of its decisions serve already, and what is waiting."""

    setup: Setup
    wanted: int = 1
    backlog: float = 0.0
    violated: bool = False
    lost: float = 0.0
    _last: deque[int] = field(init=False)

    def __post_init__(self) -> None:
        self._last = deque([self.wanted] * self.setup.horizon, maxlen=self.setup.horizon)

    @property
    def ready(self) -> int:
        """What was asked for at every moment of the start-up time: added later is not there yet."""
        return min(self._last)

    def begin(self, replicas: int) -> None:
        """The number that was already there when the record begins."""
        self.wanted = replicas
        self._last.extend([replicas] * self.setup.horizon)

    def serve(self, demand: float) -> int:
        """Lets one step of load arrive. The replicas that were ready."""
        ready = min(self._last)
        total = demand + self.backlog
        self.violated = total > KNEE * ready
        left = total - ready
        if left > 0:
            most = ready * self.setup.backlog_share
            kept = left if left < most else most
            self.lost = left - kept
            self.backlog = kept
        else:
            self.lost = self.backlog = 0.0
        return ready

    def decide(self, replicas: int) -> None:
        self.wanted = replicas
        self._last.append(replicas)
