"""Two hundred who watch, five hundred reads a second: all are served, the checks go on, memory stays."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.real.crowd import Crowd
from tests.real.harness import Project
from tests.real.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STREAMS, READS_PER_SECOND, SECONDS = 200, 500, 8.0
# What some seconds of this may leave behind; a leak of one frame for each stream would be more.
GROWTH_BYTES = 12_000_000


def test_crowd_is_served_and_the_checks_go_on(project: Project) -> None:
    project.deployed()
    wait_for(lambda: project.get("/health", port=project.ops_port), "the ops API")
    crowd = Crowd(project.ops_port)

    async def work() -> tuple[int, int]:
        async with asyncio.timeout(200), crowd.watching(STREAMS):
            await crowd.read(READS_PER_SECOND, 2.0)  # until everything is imported, cached and grown
            small = await asyncio.to_thread(_rss, project)
            for stream in crowd.streams:
                stream.frames = stream.ticks = 0
            await crowd.read(READS_PER_SECOND, SECONDS)
            while not all(stream.frames + stream.ticks for stream in crowd.streams):
                await asyncio.sleep(0.1)
            return small, await asyncio.to_thread(_rss, project)

    before = _runs(project)
    small, large = asyncio.run(work())
    assert set(crowd.codes) <= {200, 503}  # 503 of /health is an answer: this machine may be busy
    assert not any(stream.ended for stream in crowd.streams)
    assert large - small < GROWTH_BYTES
    # Once a second; a loop that was held up would have skipped most of them.
    assert _runs(project) - before >= SECONDS / 2
    wait_for(
        lambda: _connections(project) < STREAMS, "the streams to end", evidence=lambda: _connections(project)
    )


def _rss(project: Project) -> int:
    return int(project.status()["supervisor"]["rss_bytes"])


def _connections(project: Project) -> int:
    import psutil

    pid = project.status()["supervisor"]["pid"]
    return len(psutil.Process(pid).net_connections("tcp"))


def _runs(project: Project) -> int:
    """Of the check that looks at the workers."""
    answer = project.ask("/health/metrics", port=project.ops_port)
    assert answer is not None
    runs = re.findall(rb'oatie_check_runs_total\{service="app",check="workers",.*\} (\d+)', answer[2])
    return sum(map(int, runs))
