"""``{ type = "load", warn = 2, fail = 4 }``: the five-minute load average, for each processor."""

from __future__ import annotations

import os
from dataclasses import dataclass

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.thresholds import Thresholds, declared

HOST = Thresholds(warn_enter=2, warn_leave=1.5, fail_enter=8, fail_leave=6)
LEAVE_BELOW = 0.25


@dataclass(frozen=True)
class LoadCheck:
    limits: Thresholds

    async def run(self, attempt: Attempt) -> Result:
        try:
            return judge(os.getloadavg(), os.cpu_count() or 1, attempt.previous, self.limits)
        except OSError:
            return Result(Status.UNKNOWN, "the system reports no load average")


def judge(
    averages: tuple[float, float, float], processors: int, previous: Status, limits: Thresholds
) -> Result:
    each = averages[1] / processors
    shown = " ".join(f"{average:.2f}" for average in averages)
    output = f"load {shown} on {processors} processors: {each:.2f} each"
    return Result(limits.status(previous, each), output, round(each, 3), "per processor")


def build(spec: CheckSpec, tools: Tools) -> Check:
    return LoadCheck(declared(spec, HOST, LEAVE_BELOW))
