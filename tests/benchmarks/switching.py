"""Requests lost and connections cut by switches under load, and how long a cut-over takes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.measuring import once_each
from tests.benchmarks.peers import OATIE, Peer
from tests.benchmarks.report import Figure, Options, Report
from tests.benchmarks.servers import left_out, present, running
from tests.real.harness import Project

LOAD = {"new": 12, "keep": 12}
RELOAD_PAUSE_SECONDS = 2.5
MOST_CUT_OVER_MS = 100
ROUNDS, RELOADS, QUICK_RELOADS, DEPLOYS, QUICK_DEPLOYS = 3, 2, 1, 20, 5


def run(options: Options) -> Report:
    rates = (
        {"reload, 200 requests/s": 200}
        if options.quick
        else {"reload, full load": 0, "reload, 200 requests/s": 200}
    )
    figures = [*_deploys(QUICK_DEPLOYS if options.quick else DEPLOYS)]
    for title, rate in rates.items():
        figures += _reloads(title, rate, options)
    return Report("switching", "Switches under load (24 clients)", tuple(figures), left_out())


def _deploys(count: int) -> Iterator[Figure]:
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
    yield Figure("deploy under load", OATIE.name, lost, "failed", limit=0, note=note)
    yield Figure("deploy under load", OATIE.name, result["cut"], "cut", limit=0)
    known = [value for value in cutovers if value is not None]
    yield Figure(
        "cut-over",
        OATIE.name,
        median(known) if known else None,
        "ms",
        best=min(known, default=None),
        limit=MOST_CUT_OVER_MS,
        note=f"longest {max(known, default=0):.0f} ms",
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


def _reloads(title: str, rate: int, options: Options) -> Iterator[Figure]:
    """The same application reloaded: without a pause, or at a rate that leaves most connections idle."""
    rounds, reloads = (1, QUICK_RELOADS) if options.quick else (ROUNDS, RELOADS)
    rivals = {peer.name: partial(_reload_under, peer, rate, reloads) for peer in present(options)}
    for name, results in once_each(rivals, rounds, options).items():
        failed = sum(result["failed"] for result in results)
        cut = sum(result["cut"] for result in results)
        requests = sum(result["requests"] for result in results)
        note = f"of {requests} over {reloads * len(results)} reload(s)"
        limit = 0 if name == OATIE.name else None
        yield Figure(title, name, failed, "failed", limit=limit, note=note)
        yield Figure(title, name, cut, "connections cut", limit=limit)


def _reload_under(peer: Peer, rate: int, reloads: int) -> dict[str, Any]:
    with running(peer) as server, server.project.load(**LOAD, rate=rate) as load:
        for _ in range(reloads):
            load.wait_for_more(100)
            server.reload()
            time.sleep(RELOAD_PAUSE_SECONDS)
        return load.finish()
