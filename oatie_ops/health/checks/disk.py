"""``{ type = "disk", path = "/var", warn = 80, fail = 90, min_free = "1GB" }``: space, and inodes."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.thresholds import LEAVE_BELOW, Thresholds, declared

INODES = Thresholds(warn_enter=90, warn_leave=87, fail_enter=98, fail_leave=96)


@dataclass(frozen=True)
class Limits:
    """``percent`` of space in use. It fails by that only with less than ``plenty_bytes`` left."""

    percent: Thresholds
    plenty_bytes: float
    min_free_bytes: int = 0
    inodes: Thresholds = INODES


# 98 % of a large disk may leave hundreds of gigabytes, which is no failure by itself.
HOST = Limits(Thresholds(warn_enter=90, warn_leave=87, fail_enter=98, fail_leave=96), plenty_bytes=1024**3)


_INODE_DEFAULTS = (("inodes_warn", INODES.warn_enter), ("inodes_fail", 98.0))


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
        result = judge(str(self.path), used, free, attempt.previous, self.limits)
        taken = judge_inodes(
            str(self.path), space.f_files, space.f_favail, attempt.previous, self.limits.inodes
        )
        return taken if taken is not None and taken.status.severity > result.status.severity else result


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


def judge_inodes(
    path: str, total: int, available: int, previous: Status, limits: Thresholds
) -> Result | None:
    """None where the file system has no fixed number of them (Btrfs, ZFS)."""
    if total <= 0:
        return None
    percent = 100.0 * (1 - available / total)
    output = f"{path}: {percent:.0f} % of its inodes used, {available} available"
    return Result(limits.status(previous, percent), output, round(percent, 1), "percent")


def build(spec: CheckSpec, tools: Tools) -> Check:
    path = tools.settings.root / (spec.options.get("path") or ".")
    percent = declared(spec, HOST.percent)
    if percent is HOST.percent:
        return DiskCheck(spec, tools, path, HOST)
    options = spec.options
    warn, fail = (float(options.get(key, limit)) for key, limit in _INODE_DEFAULTS)
    limits = Limits(
        percent,
        plenty_bytes=math.inf,
        min_free_bytes=int(options.get("min_free", 0)),
        inodes=Thresholds(warn, warn - LEAVE_BELOW, fail, fail - LEAVE_BELOW),
    )
    return DiskCheck(spec, tools, path, limits)
