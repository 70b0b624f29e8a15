"""What measuring costs: ``python -m tests.benchmarks.bench_performance [SECONDS]``, beside the targets.

The store of 30 days (and of a year) is for a machine with a control group and four workers: half of the
series are noise, which compresses worst, a quarter moves slowly, a quarter does not. Trends are read cold:
nothing of the file is cached in the process; who asks again before something is written waits for less.
"""

from __future__ import annotations

import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path

from oatie_ops.performance import packing
from oatie_ops.performance import trends as reading
from oatie_ops.performance.buckets import History
from oatie_ops.performance.packing import BLOCK_SECONDS, CHUNK_BUCKETS
from oatie_ops.performance.readings import Load, Running, Worker
from oatie_ops.performance.sampler import Looker, Sampler, system_source
from oatie_ops.performance.samples import Samples
from oatie_ops.performance.series import APP, CGROUP, HOST, SUPERVISOR, WORKER
from oatie_ops.performance.tiers import DAY, DEFAULT_KEEP, HOUR, SECOND, SUMS, floor_to
from oatie_ops.performance.trends import read_trends
from oatie_ops.store.samplefile import SampleFile
from oatie_ops.supervisor.connecting import ConnectionWatch
from oatie_ops.supervisor.reporting import Reporter
from oatie_ops.traffic.totals import LATENCY_BOUNDS_SECONDS

PROCESSES = 10
WORKERS = 4
READS = 15


def names() -> list[str]:
    groups = {"host": HOST, "cgroup": CGROUP, "supervisor": SUPERVISOR, "app": APP}
    found = [f"{group}.{name}" for group, meanings in groups.items() for name in meanings]
    return found + [f"worker.{n}.{name}" for n in range(1, WORKERS + 1) for name in WORKER]


def fill(path: Path, days: float, until: int) -> None:
    """Writes what a supervisor would have left behind: chunks, the rows of the last hour, its seconds."""
    made = random.Random(1)
    file = SampleFile(path)
    ids = file.add_series(names())
    noise = [array("f", (1e6 + made.gauss(0, 1e5) for _ in range(CHUNK_BUCKETS))) for _ in range(64)]
    slow = [array("f", (float(1000 + i // 20 + n) for i in range(CHUNK_BUCKETS))) for n in range(64)]
    constant = [array("f", [float(n)]) * CHUNK_BUCKETS for n in range(64)]
    with file.transaction() as connection:
        workers = {number for name, number in ids.items() if name.startswith("worker.")}
        for step in SUMS:
            span = CHUNK_BUCKETS * step
            first = floor_to(until - min(days * DAY, DEFAULT_KEEP.of(step)), span)
            edge = floor_to(until, HOUR)
            for start in range(first, edge, span):
                for number in ids.values():
                    if number in workers and start < until - DEFAULT_KEEP.workers_for - span:
                        continue
                    kind = (noise, noise, slow, constant)[number % 4]
                    columns = (kind[made.randrange(64)] for _ in range(4))
                    chunk = History("", start, step, array("H", [min(step, 3600)]) * CHUNK_BUCKETS, *columns)
                    data = packing.pack_chunk(chunk)
                    connection.execute("INSERT INTO chunks VALUES (?, ?, ?, ?)", (step, number, start, data))
            for start in range(edge, until, step):
                row = {number: (60, 1.0, made.random(), 3.0, 2.0) for number in ids.values()}
                connection.execute("INSERT INTO rows VALUES (?, ?, ?)", (step, start, packing.pack_row(row)))
        for start in range(floor_to(until - HOUR, BLOCK_SECONDS), until, BLOCK_SECONDS):
            block = {number: [made.random() for _ in range(BLOCK_SECONDS)] for number in ids.values()}
            connection.execute(
                "INSERT INTO rows VALUES (?, ?, ?)", (SECOND, start, packing.pack_block(block))
            )
    file.close()


def trends(directory: Path) -> None:
    path, until = directory / "thirty.db", int(time.time())
    fill(path, 30, until)
    for hours in (1, 24, 720):
        took, cpu = [], []
        for _ in range(READS):
            packing.unpack_columns.cache_clear()
            packing._places.cache_clear()
            reading._KEPT.clear()
            began, began_cpu = time.perf_counter(), time.process_time()
            found = read_trends(path, hours, until=until)
            took.append((time.perf_counter() - began) * 1000)
            cpu.append((time.process_time() - began_cpu) * 1000)
        began = time.perf_counter()
        read_trends(path, hours, until=until)
        again = (time.perf_counter() - began) * 1000
        middle, used = statistics.median(took), statistics.median(cpu)
        print(
            f"trends over {hours:3} h: {middle:.2f} ms (best {min(took):.2f}, CPU {used:.2f},"
            f" again {again:.2f}, target 5):"
            f" {len(found.series)} series, {found.length} buckets of {found.step_seconds} s"
        )
    print(f"30 days of {len(names())} series: {path.stat().st_size / 1e6:.1f} MB")
    year = directory / "year.db"
    fill(year, 365, until)
    print(f"a year of them: {year.stat().st_size / 1e6:.1f} MB (target 20)")


def running(children: list[subprocess.Popen[bytes]]) -> Running:
    load = Load(1000, 1, 10.0, (10,) * (len(LATENCY_BOUNDS_SECONDS) + 1), 3, 9, len(children), 0)
    workers = tuple(Worker(i + 1, child.pid, 1) for i, child in enumerate(children))
    return Running(os.getpid(), workers, load)


def sampling(directory: Path, seconds: float) -> None:
    children = [subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(PROCESSES)]
    try:
        looker = Looker(system_source(directory), lambda: running(children), LATENCY_BOUNDS_SECONDS)
        samples = Samples(directory / "loop.db")
        at = floor_to(time.time(), HOUR)
        looker.look()
        began = time.process_time()
        for second in range(900):
            samples.add(at + second, looker.look())
        each = (time.process_time() - began) / 900
        print(
            f"one look at {PROCESSES} processes, stored and summed up: {each * 1e6:.0f} us of CPU,"
            f" {100 * each:.3f} % of a core at 1 Hz"
        )
        looker.close()
        samples.close()
        sampler = Sampler(
            lambda: running(children),
            directory,
            directory / "live.db",
            bounds_seconds=LATENCY_BOUNDS_SECONDS,
        )
        sampler.start()
        time.sleep(seconds)
        own = sampler.latest.own_cpu_percent
        sampler.stop()
        print(f"the sampler at 1 Hz for {seconds:g} s: {own:.3f} % of a core (target 0.5)")
    finally:
        for child in children:
            child.kill()
            child.wait()


def start_overhead() -> None:
    """What noting a start adds to it: three reports and the watch over connections."""
    ours, theirs = socket.socketpair()
    reporter = Reporter(theirs)
    took = []
    for _ in range(200):
        began = time.perf_counter()
        watch = ConnectionWatch()
        watch.begin()
        reporter.send("loaded", times={"spawned": 1.0, "entered": 2.0, "imported": 3.0, "born": 4.0})
        reporter.send("booted", pid=1, connections=watch.end())
        reporter.send("first-request", seconds=0.1)
        took.append(time.perf_counter() - began)
        ours.recv(65536)
    each = statistics.median(took)
    print(f"noting a start: {each * 1e6:.0f} us, {100 * each / 0.2:.3f} % of a start of 0.2 s (target 1)")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with tempfile.TemporaryDirectory() as directory:
        trends(Path(directory))
        sampling(Path(directory), seconds)
    start_overhead()


if __name__ == "__main__":
    main()
