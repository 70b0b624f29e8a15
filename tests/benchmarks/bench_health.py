"""What health checks cost: ``python -m tests.benchmarks.bench_health [SECONDS]``.

The server that is checked runs in a process of its own, so only the checking is counted (process CPU time).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from oatie_ops.config.settings import ServiceSettings, Settings
from oatie_ops.health.checks import build
from oatie_ops.health.checks.base import Tools
from oatie_ops.health.loop import HealthLoop
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.report import detailed
from oatie_ops.health.runner import run_check
from oatie_ops.health.threads import CheckThreads

SERVICES = 1000
INTERVAL_SECONDS = 10.0
HANGING = 200
# Rare enough not to be what is measured.
PROBE_SECONDS = 0.05
ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{"status":"ok"}'
TARGETS = {"http": 0.5, "json": 0.5, "tcp": 0.5}


def running() -> dict[str, object]:
    return {"state": "running", "workers": [{"state": "serving"}], "app": {"url": None}}


def serve(ready: multiprocessing.Queue[tuple[int, int]]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(ANSWER)
        writer.close()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    async def main() -> None:
        good = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        bad = await asyncio.start_server(hang, "127.0.0.1", 0, backlog=1024)
        ready.put((good.sockets[0].getsockname()[1], bad.sockets[0].getsockname()[1]))
        await asyncio.Event().wait()

    asyncio.run(main())


async def each(port: int, rounds: int = 2000) -> None:
    """One check after the other."""
    url = f"http://127.0.0.1:{port}/health"
    kinds = {
        "http": ("http", {"url": url}),
        "json": ("http", {"url": url, "expect": {"status": "ok"}}),
        "tcp": ("tcp", {"port": port}),
    }
    tools = Tools(Settings(root=Path("/")), CheckThreads(), Path("/"))
    for name, (kind, options) in kinds.items():
        spec = CheckSpec("s", kind, kind, options)
        check = build(spec, tools)
        for _ in range(50):
            assert (await run_check(check, spec, Status.PASS)).status is Status.PASS
        began = time.process_time()
        for _ in range(rounds):
            await run_check(check, spec, Status.PASS)
        cost = (time.process_time() - began) / rounds * 1000
        print(f"one {name} check: {cost:.3f} ms of CPU (target: {TARGETS[name]})")


async def many(port: int, hanging_port: int, seconds: float, hanging: int) -> None:
    """A thousand services on their schedules, some of which hang until their deadline."""

    def check(number: int) -> dict[str, object]:
        at = hanging_port if number < hanging else port
        return {"type": "http", "url": f"http://127.0.0.1:{at}/health", "interval": INTERVAL_SECONDS}

    services = {f"s{n}": ServiceSettings(f"s{n}", check=check(n)) for n in range(SERVICES)}
    late: list[float] = []

    def on_result(spec: CheckSpec, _result: Result, late_seconds: float) -> None:
        if spec.type == "http":
            late.append(late_seconds)

    with tempfile.TemporaryDirectory() as home:
        declared = Settings(root=Path(home), services=services)
        loop = HealthLoop(
            declared, Path(home), running, on_result=on_result, database=Path(home) / "state.db"
        )
        task = asyncio.create_task(loop.run())
        await asyncio.sleep(INTERVAL_SECONDS * 1.5)  # the start-up, which is spread over half an interval
        late.clear()
        began, cpu = time.monotonic(), time.process_time()
        stalls = await _stalls(seconds)
        elapsed, used = time.monotonic() - began, time.process_time() - cpu
        began_report = time.perf_counter()
        detailed(loop.snapshot, loop.snapshot.taken_at)
        report_ms = (time.perf_counter() - began_report) * 1000
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    late.sort()
    print(
        f"{SERVICES} checks every {INTERVAL_SECONDS:g} s, {hanging} hanging:"
        f" {100 * used / elapsed:.1f} % of a core (target: 10), {len(late) / elapsed:.0f} results/s,"
        f" {used / max(1, len(late)) * 1000:.3f} ms each"
    )
    print(
        f"  begun late by: median {statistics.median(late) * 1000:.1f} ms,"
        f" p99 {late[int(len(late) * 0.99)] * 1000:.1f} ms, most {late[-1] * 1000:.1f} ms;"
        f" event loop stalls: p99 {stalls[int(len(stalls) * 0.99)] * 1000:.1f} ms,"
        f" most {stalls[-1] * 1000:.1f} ms"
    )
    print(f"  RSS {psutil.Process().memory_info().rss / 1e6:.0f} MB; the whole report in {report_ms:.0f} ms")


async def _stalls(seconds: float) -> list[float]:
    """How much later than asked for a short sleep ends: what a reader of /health would wait at worst."""
    found, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        await asyncio.sleep(PROBE_SECONDS)
        found.append(time.perf_counter() - began - PROBE_SECONDS)
    return sorted(found)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    ready: multiprocessing.Queue[tuple[int, int]] = multiprocessing.Queue()
    server = multiprocessing.get_context("fork").Process(target=serve, args=(ready,), daemon=True)
    server.start()
    port, hanging_port = ready.get()
    try:
        asyncio.run(each(port))
        asyncio.run(many(port, hanging_port, seconds, 0))
        asyncio.run(many(port, hanging_port, seconds, HANGING))
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    main()
