"""``{ type = "cpu", warn = 85, fail = 95 }``: how busy the host's processors were since the run before.

A busy processor is no failure, so the worst status of the built-in check is a warning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.thresholds import Thresholds, declared

HOST = Thresholds(warn_enter=90, warn_leave=80)
FIRST_SPAN_SECONDS = 0.2


@dataclass(frozen=True)
class CpuTimes:
    """Processor seconds since boot, summed over all processors."""

    busy: float
    total: float


@dataclass
class CpuCheck:
    read: Callable[[], Any]  # psutil.cpu_times
    processors: int
    limits: Thresholds
    before: CpuTimes | None = None

    async def run(self, attempt: Attempt) -> Result:
        if self.before is None:
            self.before = times(self.read())
            await asyncio.sleep(FIRST_SPAN_SECONDS)
        after = times(self.read())
        result = judge(self.before, after, self.processors, attempt.previous, self.limits)
        self.before = after
        return result


def times(raw: Any) -> CpuTimes:
    """``guest`` times are already in ``user`` on Linux; waiting for a disk is not being busy."""
    total = sum(raw) - getattr(raw, "guest", 0.0) - getattr(raw, "guest_nice", 0.0)
    idle = raw.idle + getattr(raw, "iowait", 0.0)
    return CpuTimes(busy=total - idle, total=total)


def judge(before: CpuTimes, after: CpuTimes, processors: int, previous: Status, limits: Thresholds) -> Result:
    span = after.total - before.total
    if span <= 0:
        return Result(Status.UNKNOWN, "the processor times did not move")
    percent = min(100.0, max(0.0, 100.0 * (after.busy - before.busy) / span))
    output = f"{percent:.0f} % busy ({processors} processor{'s' if processors != 1 else ''})"
    return Result(limits.status(previous, percent), output, round(percent, 1), "percent")


def build(spec: CheckSpec, tools: Tools) -> Check:
    import psutil

    return CpuCheck(psutil.cpu_times, psutil.cpu_count() or 1, declared(spec, HOST))
