"""``{ type = "disk", path = "/var" }``: space for unprivileged users on the file system of a path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.thresholds import Thresholds

# 98 % of a large disk may leave hundreds of gigabytes, so failing also asks for little being left.
USED_PERCENT = Thresholds(warn_enter=90, warn_leave=87, fail_enter=98, fail_leave=96)
FAIL_BELOW_BYTES = 1024**3


@dataclass(frozen=True)
class DiskCheck:
    spec: CheckSpec
    tools: Tools
    path: Path

    async def run(self, attempt: Attempt) -> Result:
        attempt.waiting_for = f"asking the file system of {self.path}"
        # A dead network file system hangs this call for good.
        space = await self.tools.threads.call(self.spec.key, lambda: os.statvfs(self.path), attempt)
        used = (space.f_blocks - space.f_bfree) * space.f_frsize
        return judge(str(self.path), used, space.f_bavail * space.f_frsize, attempt.previous)


def judge(path: str, used_bytes: int, available_bytes: int, previous: Status) -> Result:
    """``available_bytes`` is what an unprivileged user can still write, as `df` counts."""
    total = used_bytes + available_bytes
    if total <= 0:
        return Result(Status.UNKNOWN, f"{path}: its file system reports no size")
    percent = 100.0 * used_bytes / total
    status = USED_PERCENT.status(previous, percent)
    if status is Status.FAIL and available_bytes >= FAIL_BELOW_BYTES:
        status = Status.WARN
    output = f"{path}: {percent:.0f} % used, {available_bytes / 1e9:.1f} GB available"
    return Result(status, output, round(percent, 1), "percent")


def build(spec: CheckSpec, tools: Tools) -> Check:
    return DiskCheck(spec, tools, Path(spec.options.get("path") or tools.settings.root))
