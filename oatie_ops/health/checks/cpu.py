"""``{ type = "cpu", warn = 85, fail = 95 }``: how busy the processors were since the run before.

In a container with a limit it is the limit that counts, not the host. A busy processor is no failure, so
the worst status of the built-in check is a warning, and only a minute of it is one: its first look, which
sees a fraction of a second (of a start, often), warns of nothing yet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.cgroup import Cgroups, CpuUse
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.rates import Sampler
from oatie_ops.health.thresholds import Thresholds, declared

HOST = Thresholds(warn_enter=90, warn_leave=80)
FIRST_SPAN_SECONDS = 0.2


@dataclass(frozen=True)
class CpuTimes:
    """Processor seconds since boot, summed over all processors."""

    busy: float
    total: float


@dataclass(frozen=True)
class CpuCheck:
    sampler: Sampler[tuple[CpuTimes, CpuUse | None]]
    processors: int
    limits: Thresholds
    patient: bool = False

    async def run(self, attempt: Attempt) -> Result:
        (host_before, group_before), (host, group), seconds = await self.sampler.pair()
        if group is not None and group_before is not None and group.limit < self.processors:
            result = judge_group(group_before, group, seconds, attempt.previous, self.limits)
        else:
            result = judge(host_before, host, self.processors, attempt.previous, self.limits)
        return at_first_sight(result) if self.patient and attempt.previous is Status.UNKNOWN else result


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


def judge_group(
    before: CpuUse, after: CpuUse, seconds: float, previous: Status, limits: Thresholds
) -> Result:
    if seconds <= 0 or after.limit <= 0:
        return Result(Status.UNKNOWN, "the processor times did not move")
    percent = max(0.0, 100.0 * (after.used_seconds - before.used_seconds) / (seconds * after.limit))
    output = f"{percent:.0f} % of the container's {after.limit:g} processors busy"
    return Result(limits.status(previous, percent), output, round(percent, 1), "percent")


def at_first_sight(result: Result) -> Result:
    """Out of unknown one result decides, and this one knows too little to warn."""
    if result.status is not Status.WARN:
        return result
    return replace(result, status=Status.PASS, output=f"{result.output}, at first sight")


def build(spec: CheckSpec, tools: Tools) -> Check:
    import psutil

    cgroups = Cgroups()
    sampler = Sampler(lambda: (times(psutil.cpu_times()), cgroups.cpu()), FIRST_SPAN_SECONDS)
    limits = declared(spec, HOST)
    return CpuCheck(sampler, psutil.cpu_count() or 1, limits, patient=limits is HOST)
