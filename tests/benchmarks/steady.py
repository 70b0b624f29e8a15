"""What a running service costs: throughput against bare uvicorn, the supervisor's memory and idle CPU."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator

import psutil

from tests.benchmarks.report import Figure, judged, median
from tests.benchmarks.servers import OATIE, UVICORN, present, running

WRK_CONNECTIONS = 32


def throughput(rounds: int) -> Iterator[Figure]:
    """All servers run at once and are loaded in turn, so that a slow minute of the machine hits all."""
    wrk = shutil.which("wrk")
    if wrk is None:
        yield Figure("throughput", "wrk is not installed", None, "", note="apt-get install wrk")
        return
    rates: dict[str, list[float]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running(peer)) for peer in present()]
        for server in servers:
            _wrk(wrk, server.project.url, 1)
        for round_number in range(rounds):
            turn = servers if round_number % 2 == 0 else servers[::-1]
            for server in turn:
                rates[server.peer.name].append(_wrk(wrk, server.project.url, 2))
    base = rates[UVICORN.name]
    for name, values in rates.items():
        ratio = median(value / against for value, against in zip(values, base, strict=True))
        note = f"{median(values):.0f} requests/s"
        if name == OATIE.name:
            yield judged("throughput", name, ratio, "x uvicorn", ">= 0.98", lambda v: v >= 0.98, note)
        else:
            yield Figure("throughput", name, ratio, "x uvicorn", note=note)


def _wrk(program: str, url: str, seconds: int) -> float:
    command = [program, "-t1", f"-c{WRK_CONNECTIONS}", f"-d{seconds}s", url + "/"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None or "Non-2xx" in said:
        raise RuntimeError(said)
    return float(found.group(1))


def footprint(seconds: float) -> Iterator[Figure]:
    """The supervisor process alone (not its workers) after a minute's worth of start-up work is over."""
    for peer in present():
        with running(peer) as server:
            supervisor = psutil.Process(server.process.pid)
            time.sleep(2)
            others = [process for process in server.project.processes() if process.pid != supervisor.pid]
            before, begun = _cpu_seconds(supervisor), time.monotonic()
            time.sleep(seconds)
            used = (_cpu_seconds(supervisor) - before) / (time.monotonic() - begun) * 100
            rss_mb = supervisor.memory_info().rss / 2**20
            note = f"{len(others)} other processes, {sum(p.memory_info().rss for p in others) / 2**20:.0f} MB"
            if peer is OATIE:
                yield judged("supervisor", peer.name, rss_mb, "MB RSS", "<= 60", lambda v: v <= 60, note)
                yield judged("supervisor", peer.name, used, "% CPU idle", "<= 0.5", lambda v: v <= 0.5)
            else:
                yield Figure("supervisor", peer.name, rss_mb, "MB RSS", note=note)
                yield Figure("supervisor", peer.name, used, "% CPU idle")


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
