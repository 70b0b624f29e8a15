"""Does the model of the workers say what workers do? `python tests/benchmarks/bench_scaling.py`.

An application that burns processor time and waits is run under ``oatie start``, with as many clients as keep
every worker busy. How long a request waits is measured with one client, what it takes of a processor as the
engine does it, over the loaded time; the model then says what so many workers can do, on the cores that the
clients and everything else on the machine leave; and that is compared with what they did. Where processors
are the limit that is nearly an identity; what is tried is where waiting and processors both matter. Every mix
is run in each of three rounds, and the median of its ratios counts, as others come and go.

What others use is taken off the cores for good, although the kernel gives workers that wake up a part of it:
where others have half a core or more, the model is told of too little, and a ratio below 1 says nothing. Such
mixes are shown and not judged. Exits 1 where one that is judged is outside of ± 10 %, 3 where none is judged.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from oatie_ops import scaling_engine
from oatie_ops.scaling.observed import host_cores
from tests.real.harness import Project
from tests.real.waiting import wait_for

APPLICATION = """\
import asyncio
import time


def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    words = scope["path"].strip("/").split("/")
    if len(words) == 3:
        cpu, wait = float(words[1]) / 1000, float(words[2]) / 1000
        burn(cpu)
        if words[0] == "block":
            time.sleep(wait)
        else:
            await asyncio.sleep(wait)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
TOLERANCE = 0.10
MOST_OTHERS = 0.5  # cores
ALONE_SECONDS = 1.0
WARM_SECONDS, BUSY_SECONDS = 0.5, 2.0
ROUNDS = 3
CLIENTS_EACH = 6


@dataclass(frozen=True)
class Mix:
    """``kind`` block: a worker does one request after the other; await: its loop goes on meanwhile."""

    kind: str
    cpu_ms: float
    wait_ms: float
    workers: int

    @property
    def path(self) -> str:
        return f"/{self.kind}/{self.cpu_ms:g}/{self.wait_ms:g}"

    @property
    def slots(self) -> int | None:
        return 1 if self.kind == "block" else None


MIXES = (
    Mix("block", 10, 40, 2),
    Mix("block", 10, 40, 5),
    Mix("block", 10, 40, 13),
    Mix("block", 10, 10, 2),
    Mix("block", 10, 10, 4),
    Mix("block", 10, 10, 6),
    Mix("block", 20, 5, 3),
    Mix("block", 5, 45, 8),
    Mix("block", 30, 0, 2),
    Mix("await", 10, 40, 1),
    Mix("await", 10, 40, 2),
    Mix("await", 20, 100, 2),
)


async def one(port: int, request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await reader.read()
    writer.close()


@dataclass(frozen=True)
class Load:
    """``done``: requests in all; ``rate``: of those that ended while every client was at work, a second."""

    done: int
    rate: float
    seconds: float
    took: list[float]


async def load(port: int, path: str, clients: int, warm_seconds: float, seconds: float) -> Load:
    """One connection for each request."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    took: list[float] = []
    in_time = 0
    warm = time.monotonic() + warm_seconds
    until = warm + seconds

    async def client() -> None:
        nonlocal in_time
        while (began := time.monotonic()) < until:
            await one(port, request)
            took.append(time.monotonic() - began)
            in_time += warm < time.monotonic() <= until

    began = time.monotonic()
    await asyncio.gather(*(client() for _ in range(clients)))
    return Load(len(took), in_time / seconds, time.monotonic() - began, took)


def busy_seconds() -> float:
    """Processor time of the whole machine."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def worker_seconds(project: Project) -> float:
    times = [psutil.Process(worker["pid"]).cpu_times() for worker in project.workers()]
    return sum(one.user + one.system for one in times)


@dataclass(frozen=True)
class Run:
    """What the model says, what happened (requests per second), and the cores that others used."""

    said: float
    was: float
    others: float

    @property
    def ratio(self) -> float:
        return self.said / self.was


def measure(project: Project, mix: Mix, port: int) -> Run:
    project.oatie("scale", f"workers={mix.workers}").expect(0)
    wait_for(
        lambda: [worker["state"] for worker in project.workers()] == ["serving"] * mix.workers, "the workers"
    )
    before = worker_seconds(project)
    alone = asyncio.run(load(port, mix.path, 1, 0, ALONE_SECONDS))
    cpu = (worker_seconds(project) - before) / alone.done
    wait = max(0.0, min(statistics.median(alone.took) - cpu, mix.wait_ms / 1000 + 0.002))
    clients = CLIENTS_EACH * mix.workers
    before, machine = worker_seconds(project), busy_seconds()
    busy = asyncio.run(load(port, mix.path, clients, WARM_SECONDS, BUSY_SECONDS))
    used = worker_seconds(project) - before
    others = max(0.0, busy_seconds() - machine - used) / busy.seconds
    said = scaling_engine.predict_throughput(
        mix.workers,
        used / busy.done,
        wait,
        cores=host_cores() - others,
        at_a_time=mix.slots,
        clients=clients,
    )
    return Run(said, busy.rate, others)


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        project = Project(Path(directory))
        (project.root / "main.py").write_text(APPLICATION)
        project.configure(app={"run": "main:app", "ready": None, "workers": 1})
        try:
            project.start()
            return report(project)
        finally:
            project.close()


def report(project: Project) -> int:
    runs: dict[Mix, list[Run]] = {mix: [] for mix in MIXES}
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}", file=sys.stderr, flush=True)
        for mix in MIXES:
            runs[mix].append(measure(project, mix, project.port))
    print(f"{'MIX':<18}{'WORKERS':>8}{'MODEL':>9}{'MEASURED':>10}{'RATIO':>8}{'OTHERS':>8}  ALL RATIOS")
    outside = judged = 0
    for mix, found in runs.items():
        middle = sorted(found, key=lambda run: run.ratio)[len(found) // 2]
        quiet = middle.others <= MOST_OTHERS
        judged += quiet
        outside += quiet and abs(middle.ratio - 1) > TOLERANCE
        ratios = " ".join(f"{run.ratio:.2f}" for run in found)
        print(
            f"{mix.path:<18}{mix.workers:>8}{middle.said:>9.1f}{middle.was:>10.1f}{middle.ratio:>8.3f}"
            f"{middle.others:>8.2f}  {ratios}{'' if quiet else '  (not judged)'}"
        )
    print(f"{judged - outside} of {judged} judged mixes within {TOLERANCE:.0%} ({len(MIXES)} mixes); OTHERS:")
    print("cores that the clients and everything else used, which the workers could not have")
    return 1 if outside else 0 if judged else 3


if __name__ == "__main__":
    sys.exit(main())
