"""``{ type = "disk", path = "/var", warn = 80, fail = 90, min_free = "1GB" }``: space on a file system."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.thresholds import Thresholds, declared


@dataclass(frozen=True)
class Limits:
    """``percent`` of space in use. It fails by that only with less than ``plenty_bytes`` left."""

    percent: Thresholds
    plenty_bytes: float
    min_free_bytes: int = 0


# 98 % of a large disk may leave hundreds of gigabytes, which is no failure by itself.
HOST = Limits(Thresholds(warn_enter=90, warn_leave=87, fail_enter=98, fail_leave=96), plenty_bytes=1024**3)


@dataclass(frozen=True)
class DiskCheck:
    spec: CheckSpec
    tools: Tools
    path: Path
    limits: Limits

    async def run(self, attempt: Attempt) -> Result:
        attempt.waiting_for = f"asking the file system of {self.path}"
        # A dead network file system hangs this call for good.
        space = await self.tools.threads.call(self.spec.key, lambda: os.statvfs(self.path), attempt)
        used = (space.f_blocks - space.f_bfree) * space.f_frsize
        free = space.f_bavail * space.f_frsize
        return judge(str(self.path), used, free, attempt.previous, self.limits)


def judge(path: str, used_bytes: int, free_bytes: int, previous: Status, limits: Limits) -> Result:
    """``free_bytes`` is what an unprivileged user can still write, as `df` counts."""
    total = used_bytes + free_bytes
    if total <= 0:
        return Result(Status.UNKNOWN, f"{path}: its file system reports no size")
    percent = 100.0 * used_bytes / total
    status = limits.percent.status(previous, percent)
    if status is Status.FAIL and free_bytes >= limits.plenty_bytes:
        status = Status.WARN
    if free_bytes < limits.min_free_bytes:
        status = Status.FAIL
    output = f"{path}: {percent:.0f} % used, {free_bytes / 1e9:.1f} GB available"
    return Result(status, output, round(percent, 1), "percent")


def build(spec: CheckSpec, tools: Tools) -> Check:
    path = tools.settings.root / (spec.options.get("path") or ".")
    percent = declared(spec, HOST.percent)
    if percent is HOST.percent:
        return DiskCheck(spec, tools, path, HOST)
    limits = Limits(percent, plenty_bytes=math.inf, min_free_bytes=int(spec.options.get("min_free", 0)))
    return DiskCheck(spec, tools, path, limits)
