"""The Horizontal Pod Autoscaler v2 with the defaults of Kubernetes, as a policy that can be replayed.

Source: the documented algorithm and pkg/controller/podautoscaler (replica_calculator.go) of Kubernetes:
``ceil(ready * usage / target)``, tolerance 0.1, pods that are not ready yet count as idle when scaling up,
scaling down takes the highest of the last 300 s.
"""

from __future__ import annotations

import math
from collections import deque

from oatie_ops.scaling.setup import ROUNDING, Lane, Setup

TOLERANCE = 0.1


class Hpa:
    """``metric`` "cpu": usage saturates at the ready capacity. "rps": what arrives, whatever is served."""

    def __init__(self, setup: Setup, target: float, metric: str = "rps") -> None:
        self.target = target
        self.metric = metric
        self.lane = Lane(setup)
        self._wanted: deque[int] = deque(maxlen=setup.hold_steps)

    @property
    def name(self) -> str:
        return f"HPA {self.metric} {self.target:.0%}"

    def observe(self, demand: float) -> int:
        lane = self.lane
        waiting = lane.backlog
        ready = lane.serve(demand)
        usage = min(demand + waiting, ready) if self.metric == "cpu" else demand
        wanted = lane.setup.bounded(self._desired(usage, ready))
        self._wanted.append(wanted)
        if wanted < lane.wanted:
            wanted = min(lane.wanted, max(self._wanted))
        lane.decide(wanted)
        return wanted

    def hold(self) -> None:
        """A step without a measurement: no metrics, no move."""
        self.lane.decide(self.lane.wanted)

    def _desired(self, usage: float, ready: int) -> int:
        ratio = usage / (ready * self.target)
        current = self.lane.wanted
        if abs(ratio - 1.0) <= TOLERANCE:
            return current
        if ratio > 1.0 and current > ready:
            ratio = usage / (current * self.target)
            return current if ratio <= 1.0 + TOLERANCE else math.ceil(ratio * current - ROUNDING)
        return math.ceil(ratio * ready - ROUNDING)
