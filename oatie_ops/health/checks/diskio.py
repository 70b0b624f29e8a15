"""``{ type = "diskio", device = "sda", warn = 80, fail = 95 }``: how much of the time a disk was busy.

Without ``device``: the busiest one. The worst status of the defaults is a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.rates import Sampler
from oatie_ops.health.thresholds import Thresholds, declared

HOST = Thresholds(warn_enter=90, warn_leave=80)
# Not disks, though the kernel counts them as such.
_PSEUDO = ("loop", "ram", "zram")


@dataclass(frozen=True)
class DiskIoCheck:
    device: str
    sampler: Sampler[Mapping[str, Any]]
    limits: Thresholds

    async def run(self, attempt: Attempt) -> Result:
        before, after, seconds = await self.sampler.pair()
        if self.device and self.device not in after:
            return Result(Status.FAIL, f"there is no disk {self.device}")
        names = [self.device] if self.device else [name for name in after if not name.startswith(_PSEUDO)]
        busy = {
            name: 100.0 * (after[name].busy_time - before[name].busy_time) / 1000 / seconds
            for name in names
            if name in before and hasattr(after[name], "busy_time") and seconds > 0
        }
        if not busy:
            return Result(Status.UNKNOWN, "this system does not tell how busy its disks are")
        name = max(busy, key=lambda key: busy[key])
        percent = min(100.0, max(0.0, busy[name]))
        read = (after[name].read_bytes - before[name].read_bytes) / seconds / 1e6
        write = (after[name].write_bytes - before[name].write_bytes) / seconds / 1e6
        output = f"{name}: busy {percent:.0f} % of the time, {read:.1f} MB/s read, {write:.1f} MB/s written"
        return Result(self.limits.status(attempt.previous, percent), output, round(percent, 1), "percent")


def build(spec: CheckSpec, tools: Tools) -> Check:
    import psutil

    def read() -> Mapping[str, Any]:
        return psutil.disk_io_counters(perdisk=True) or {}

    return DiskIoCheck(str(spec.options.get("device") or ""), Sampler(read), declared(spec, HOST))
