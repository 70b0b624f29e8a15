"""``{ type = "memory", warn = 80, fail = 90 }``: memory that can be had, of the container or of the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.cgroup import Cgroups
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.thresholds import Thresholds, declared

HOST = Thresholds(warn_enter=90, warn_leave=85, fail_enter=98, fail_leave=96)


@dataclass(frozen=True)
class MemoryCheck:
    read: Callable[[], Any]  # psutil.virtual_memory
    limits: Thresholds
    cgroups: Cgroups = field(default_factory=Cgroups)

    async def run(self, attempt: Attempt) -> Result:
        host = self.read()
        group = self.cgroups.memory()
        if group is not None and group.limit_bytes < host.total:
            free = min(group.limit_bytes - group.used_bytes, host.available)
            return judge(group.limit_bytes, free, attempt.previous, self.limits, "of the container's ")
        return judge(host.total, host.available, attempt.previous, self.limits)


def judge(
    total_bytes: int, available_bytes: int, previous: Status, limits: Thresholds, whose: str = "of "
) -> Result:
    if total_bytes <= 0:
        return Result(Status.UNKNOWN, "the system reports no memory size")
    percent = 100.0 * (1 - available_bytes / total_bytes)
    output = (
        f"{percent:.0f} % {whose}{total_bytes / 1e9:.1f} GB used, {available_bytes / 1e9:.1f} GB available"
    )
    return Result(limits.status(previous, percent), output, round(percent, 1), "percent")


def build(spec: CheckSpec, tools: Tools) -> Check:
    import psutil

    return MemoryCheck(psutil.virtual_memory, declared(spec, HOST))
