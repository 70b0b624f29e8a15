"""What a running service costs: throughput against bare uvicorn, the supervisor's memory and idle CPU."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import psutil

from tests.benchmarks.measuring import Rounds, first_line, interleaved, ratio
from tests.benchmarks.peers import OATIE, UVICORN
from tests.benchmarks.report import Figure, Options, Report
from tests.benchmarks.servers import Running, left_out, present, running

WRK_CONNECTIONS = 32
# Each request holds its worker, as a sync view does: with as many clients as workers, all could be busy.
BLOCKING = ("-c2", "-H", "Connection: close"), "/block?seconds=0.02"
ROUNDS, QUICK_ROUNDS = 8, 3
IDLE_SECONDS, QUICK_IDLE_SECONDS = 20.0, 5.0
LEAST_OF_UVICORN, MOST_RSS_MB, MOST_IDLE_PERCENT = 0.98, 60, 0.5


def run(options: Options) -> Report:
    """All servers run at once; loaded in turn, then left alone together."""
    wrk = shutil.which("wrk")
    missing = () if wrk else (("throughput", "wrk is not installed (a system package)"),)
    with contextlib.ExitStack() as stack:
        servers = []
        for peer in present(options):
            try:
                servers.append(stack.enter_context(running(peer)))
            except RuntimeError as error:
                if peer is OATIE:
                    raise
                options.gone[peer.name] = first_line(error)
        figures: list[Figure] = []
        if wrk and any(server.peer is UVICORN for server in servers):
            figures += _throughput(wrk, servers, options)
        figures += _footprint(servers, QUICK_IDLE_SECONDS if options.quick else IDLE_SECONDS)
    return Report("steady", "A running service", tuple(figures), left_out() + missing)


def _throughput(wrk: str, servers: list[Running], options: Options) -> Iterator[Figure]:
    yield from _rates("throughput", servers, options, partial(_wrk, wrk, (f"-c{WRK_CONNECTIONS}",), "/"))
    yield from _rates("throughput, requests that block", servers, options, partial(_wrk, wrk, *BLOCKING))


def _rates(
    what: str, servers: list[Running], options: Options, rate: Callable[[str], float]
) -> Iterator[Figure]:
    rivals = {
        server.peer.name: partial(rate, server.project.url)
        for server in servers
        if not server.peer.one_process
    }
    found: Rounds = interleaved(rivals, QUICK_ROUNDS if options.quick else ROUNDS, options)
    if UVICORN.name not in found:
        return
    for name, rates in found.items():
        yield Figure(
            what,
            name,
            ratio(rates, found[UVICORN.name]),
            "x uvicorn",
            best=max(rates) / max(found[UVICORN.name]),
            limit=LEAST_OF_UVICORN if name == OATIE.name else None,
            better="higher",
            note=f"{median(rates):.0f} requests/s",
        )


def _wrk(program: str, how: tuple[str, ...], path: str, url: str) -> float:
    command = [program, "-t1", *how, "-d1s", url + path]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None or "Non-2xx" in said:
        raise RuntimeError(said)
    return float(found.group(1))


def _footprint(servers: list[Running], seconds: float) -> Iterator[Figure]:
    """The supervisor process alone, not its workers, with nothing to do."""
    time.sleep(2)
    begun = time.monotonic()
    before = [_cpu_seconds(server.process.pid) for server in servers]
    time.sleep(seconds)
    for server, used_before in zip(servers, before, strict=True):
        mine = server.peer is OATIE
        used = (_cpu_seconds(server.process.pid) - used_before) / (time.monotonic() - begun) * 100
        others = [process for process in server.project.processes() if process.pid != server.process.pid]
        memory = sum(process.memory_info().rss for process in others) / 2**20
        rss = psutil.Process(server.process.pid).memory_info().rss / 2**20
        note = f"{len(others)} other processes, {memory:.0f} MB"
        limits = (MOST_RSS_MB, MOST_IDLE_PERCENT) if mine else (None, None)
        yield Figure("supervisor", server.peer.name, rss, "MB RSS", limit=limits[0], note=note)
        yield Figure("supervisor", server.peer.name, used, "% CPU idle", limit=limits[1])


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
