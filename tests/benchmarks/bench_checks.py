"""What one HTTP check costs in processor time: `oatie` against blackbox_exporter.

The server that is checked is a process of its own. blackbox_exporter checks when it is asked to, by an HTTP
request that Prometheus would make; its whole processor time is counted, the asking client's is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from oatie_ops.config.settings import Settings
from oatie_ops.health.checks import build
from oatie_ops.health.checks.base import Tools
from oatie_ops.health.model import CheckSpec, Status
from oatie_ops.health.runner import run_check
from oatie_ops.health.threads import CheckThreads
from tests.benchmarks.bench_health import serve
from tests.benchmarks.measuring import interleaved, ratio, summed_up
from tests.benchmarks.report import OURS, Figure, Options, Report
from tests.real.waiting import free_port, port_answers, wait_for

BLACKBOX = "blackbox_exporter"
PROGRAM = "prometheus-blackbox-exporter"
MODULES = "modules:\n  http:\n    prober: http\n    timeout: 5s\n    http: {preferred_ip_protocol: ip4}\n"
CHECKS, QUICK_CHECKS = 400, 200
ROUNDS, QUICK_ROUNDS = 9, 4
LIMIT_MS = 0.5
NO_KUMA = (
    "Uptime Kuma",
    "npm has one development snapshot, whose package lacks a migration (db/old_migrations/"
    "patch-add-invert-keyword.sql) without which it makes no database; a release is a checkout to be built",
)


def run(options: Options) -> Report:
    checks, rounds = (QUICK_CHECKS, QUICK_ROUNDS) if options.quick else (CHECKS, ROUNDS)
    missing = [NO_KUMA]
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(_checked_server())
        rivals: dict[str, Callable[[], float]] = {OURS: partial(_ours, url, checks)}
        memory = {}
        if program := shutil.which(PROGRAM):
            process, port = stack.enter_context(_blackbox(program))
            rivals[BLACKBOX] = partial(_theirs, process, port, url, checks)
        else:
            missing.append((BLACKBOX, f"{PROGRAM} is not on the PATH (a system package)"))
        found = interleaved(rivals, rounds, options)
        if BLACKBOX in found:
            memory[BLACKBOX] = process.memory_info().rss / 2**20
    figures = list(
        summed_up("HTTP check", found, "ms of processor time", scale=1000, limits={OURS: LIMIT_MS})
    )
    for name, value in memory.items():
        note = "a process of its own; oatie checks within its supervisor"
        figures.append(Figure("checker", name, value, "MB RSS", reference=True, note=note))
    if BLACKBOX in found:
        times = ratio(found[BLACKBOX], found[OURS])
        figures.append(Figure("HTTP check", OURS, times, f"x less than {BLACKBOX}", better="higher"))
    return Report("checks", "Health checks", tuple(figures), tuple(missing))


def _ours(url: str, checks: int) -> float:
    """Seconds of this process per check, one after the other."""
    return asyncio.run(_checked(url, checks))


async def _checked(url: str, checks: int) -> float:
    threads = CheckThreads()
    spec = CheckSpec("s", "http", "http", {"url": url})
    check = build(spec, Tools(Settings(root=Path("/")), threads, Path("/")))
    began = time.process_time()
    for _ in range(checks):
        assert (await run_check(check, spec, Status.PASS)).status is Status.PASS
    return (time.process_time() - began) / checks


def _theirs(process: psutil.Process, port: int, url: str, checks: int) -> float:
    began = _cpu_seconds(process)
    for _ in range(checks):
        asked = f"http://127.0.0.1:{port}/probe?module=http&target={url}"
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert b"probe_success 1" in answer.read()
    return (_cpu_seconds(process) - began) / checks


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _checked_server() -> Iterator[str]:
    ready: multiprocessing.Queue[tuple[int, int]] = multiprocessing.Queue()
    server = multiprocessing.get_context("fork").Process(target=serve, args=(ready,), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ready.get(timeout=30)[0]}/health"
    finally:
        server.terminate()
        server.join()


@contextmanager
def _blackbox(program: str) -> Iterator[tuple[psutil.Process, int]]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="oatie-bench-") as directory:
        config = Path(directory, "blackbox.yml")
        config.write_text(MODULES)
        listen = f"--web.listen-address=127.0.0.1:{port}"
        process = subprocess.Popen(
            [program, f"--config.file={config}", listen, "--log.level=error"], stderr=subprocess.DEVNULL
        )
        try:
            wait_for(lambda: port_answers(port), BLACKBOX)
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()
            process.wait()
