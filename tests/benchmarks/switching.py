"""Requests lost and connections cut by switches under load, and how long a cut-over takes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.report import Figure, judged, median
from tests.benchmarks.servers import OATIE, Peer, present, running
from tests.real.harness import Project

LOAD = {"new": 12, "keep": 12}
RELOAD_PAUSE_SECONDS = 2.5


def deploys(count: int) -> Iterator[Figure]:
    """Deploys under 24 clients without a pause, with 5 s requests in flight; every fifth is a rollback."""
    with tempfile.TemporaryDirectory(prefix="oatie-bench-") as directory:
        project = Project(Path(directory), "service.py")
        try:
            project.deployed("1")
            with project.load(**LOAD, slow=2) as load:
                cutovers = [_switch(project, number) for number in range(2, count + 2)]
                result = load.finish()
        finally:
            project.close()
    lost, p99 = result["failed"], result["kinds"]["keep"]["latency_ms"]["p99"]
    note = f"of {result['requests']} over {count} switches, p99 {p99} ms"
    yield judged("switch under load", OATIE.name, lost, "failed", "0", lambda v: v == 0, note)
    yield judged("switch under load", OATIE.name, result["cut"], "cut", "0", lambda v: v == 0)
    known = [value for value in cutovers if value is not None]
    yield judged(
        "cut-over", OATIE.name, median(known) if known else None, "ms, median", "<= 100", lambda v: v <= 100
    )
    yield judged(
        "cut-over", OATIE.name, max(known, default=None), "ms, longest", "<= 100", lambda v: v <= 100
    )


def _switch(project: Project, number: int) -> float | None:
    if number % 5 == 0:
        done = project.oatie("rollback", "--yes", "--json").expect(0)
    else:
        done = project.deployed(str(number))
    return cutover_ms(done.events)


def cutover_ms(events: list[dict[str, Any]]) -> float | None:
    """From the last gate's yes to the promotion's end, by the times of the events."""
    at = {
        (event.get("step"), event.get("state")): event.get("at")
        for event in events
        if event["event"] == "step"
    }
    begun, ended = at.get(("gate", "done")), at.get(("promote", "done"))
    return (ended - begun) * 1000 if begun and ended else None


def reloads(count: int) -> Iterator[Figure]:
    """The same application reloaded: at full load, and at a rate that leaves most connections idle."""
    for title, rate in (("reload, full load", 0), ("reload, 200/s", 200)):
        for peer in present():
            if peer.reload_signal is not None:
                yield from _reload_under(peer, title, rate, count)


def _reload_under(peer: Peer, title: str, rate: int, count: int) -> Iterator[Figure]:
    with running(peer) as server, server.project.load(**LOAD, rate=rate) as load:
        for _ in range(count):
            load.wait_for_more(100)
            server.process.send_signal(peer.reload_signal or 0)
            time.sleep(RELOAD_PAUSE_SECONDS)
        result = load.finish()
    note = f"of {result['requests']}, {len(result['pids'])} workers answered, {result['cut']} cut"
    if peer is OATIE:
        yield judged(title, peer.name, result["failed"], "failed", "0", lambda v: v == 0, note)
    else:
        yield Figure(title, peer.name, result["failed"], "failed", note=note)
