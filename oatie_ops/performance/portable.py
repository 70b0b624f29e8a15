"""Reads macOS and whatever else psutil knows. Dearer than /proc, which Linux is read from directly."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import psutil

from oatie_ops.performance.readings import Group, Machine, Process

VIRTUAL_DEVICES = ("lo", "utun", "awdl", "llw", "bridge", "gif", "stf", "anpi")


class PsutilSource:
    """See `oatie_ops.performance.readings.Source`."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._dear: dict[str, float] = {}

    def machine(self, *, thorough: bool) -> Machine:
        if thorough or not self._dear:
            self._dear = self._disk_use()
        memory, swap, cpu = psutil.virtual_memory(), psutil.swap_memory(), psutil.cpu_times()
        iowait, steal = getattr(cpu, "iowait", 0.0), getattr(cpu, "steal", 0.0)
        total = sum(cpu) - getattr(cpu, "guest", 0.0) - getattr(cpu, "guest_nice", 0.0)
        counters = {
            "cpu_total": total,
            "cpu_busy": total - cpu.idle - iowait,
            "cpu_iowait": iowait,
            "cpu_steal": steal,
        }
        if (disk := psutil.disk_io_counters()) is not None:
            counters |= {"disk_read_bytes": disk.read_bytes, "disk_write_bytes": disk.write_bytes}
        devices = psutil.net_io_counters(pernic=True).items()
        real = [counts for name, counts in devices if not name.startswith(VIRTUAL_DEVICES)]
        counters["net_recv_bytes"] = sum(counts.bytes_recv for counts in real)
        counters["net_sent_bytes"] = sum(counts.bytes_sent for counts in real)
        gauges = {
            "memory_total_bytes": memory.total,
            "memory_used_bytes": memory.total - memory.available,
            "memory_percent": 100.0 * (memory.total - memory.available) / memory.total,
            "swap_used_bytes": swap.used,
            "load1": os.getloadavg()[0],
            **self._dear,
        }
        return Machine(gauges, counters)

    def group(self) -> Group:
        return Group()

    def process(self, pid: int, *, thorough: bool) -> Process | None:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                if process.status() == psutil.STATUS_ZOMBIE:
                    return None
                times = process.cpu_times()
                return Process(
                    born=process.create_time(),
                    cpu_seconds=times.user + times.system,
                    rss_bytes=process.memory_info().rss,
                    threads=process.num_threads(),
                    fds=process.num_fds() if thorough else None,
                )
        except psutil.Error:
            return None

    def children(self, leaders: Iterable[int]) -> dict[int, tuple[int, ...]]:
        found = {}
        for leader in leaders:
            try:
                below = psutil.Process(leader).children(recursive=True)
            except psutil.Error:
                continue
            if below:
                found[leader] = tuple(sorted(process.pid for process in below))
        return found

    def forget(self, pids: Iterable[int]) -> None:
        """Nothing is kept open."""

    def close(self) -> None:
        """Nothing is kept open."""

    def _disk_use(self) -> dict[str, float]:
        try:
            usage = psutil.disk_usage(os.fspath(self._disk))
        except OSError:
            return {}
        return {
            "disk_used_bytes": usage.used,
            "disk_free_bytes": usage.free,
            "disk_percent": usage.percent,
        }
