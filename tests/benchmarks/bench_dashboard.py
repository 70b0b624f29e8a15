"""What a crowd at the dashboard costs: ``python -m tests.benchmarks.bench_dashboard`` (20 s)."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import psutil

from tests.real.crowd import Crowd
from tests.real.harness import Project
from tests.real.waiting import wait_for

STREAMS, READS_PER_SECOND, SECONDS = 200, 500, 10.0


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        project = Project(Path(directory))
        try:
            project.deployed()
            wait_for(lambda: project.get("/health", port=project.ops_port), "the ops API")
            asyncio.run(_measure(project))
        finally:
            project.close()


async def _measure(project: Project) -> None:
    supervisor = psutil.Process(project.status()["supervisor"]["pid"])
    crowd = Crowd(project.ops_port)
    print(f"at rest: RSS {supervisor.memory_info().rss / 2**20:.0f} MB")
    async with crowd.watching(STREAMS):
        await crowd.read(READS_PER_SECOND, 2.0)
        crowd.seconds.clear()
        began, cpu, small = time.monotonic(), sum(supervisor.cpu_times()[:2]), supervisor.memory_info().rss
        rate = await crowd.read(READS_PER_SECOND, SECONDS)
        used = (sum(supervisor.cpu_times()[:2]) - cpu) / (time.monotonic() - began)
        large = supervisor.memory_info().rss
    ordered = sorted(crowd.seconds)
    print(f"{STREAMS} streams and {rate:.0f} reads/s: {used:.0%} of a core")
    p50, p99 = ordered[len(ordered) // 2], ordered[-len(ordered) // 100]
    print(f"  reads: p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms")
    print(f"  memory: {small / 2**20:.0f} -> {large / 2**20:.0f} MB")
    answer = project.ask("/health/metrics", port=project.ops_port)
    for line in (answer[2].decode() if answer else "").splitlines():
        if line.startswith("oatie_check_schedule_lag_seconds"):
            print(f"  {line}")


if __name__ == "__main__":
    main()
