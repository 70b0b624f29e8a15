"""How fast health answers: ``python -m tests.benchmarks.bench_health_answers [SECONDS]``.

Three figures: `/health` over TCP while a fifth of a thousand checks hangs and `/health/metrics` is scraped
all the time (a supervisor's services in a process of their own, the client here); `oatie health` against a
supervisor of three services as a ratio to an empty Python, in turn; and the first frame of `--watch`.
Where others use the machine, too, waiting times tell of them. So the processor time is told besides: of the
longest stretches for which the supervisor's event loop answered nobody, and of the commands.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pty
import select
import signal
import socket
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from oatie_ops.api.services import ops_services
from oatie_ops.supervisor.embedded import EmbeddedServer
from oatie_ops.supervisor.listen import bind_public
from oatie_ops.supervisor.memory import give_back, keep
from tests.benchmarks.bench_health import HANGING, INTERVAL_SECONDS, SERVICES, serve
from tests.benchmarks.measuring import interleaved, ratio, run_to_its_end
from tests.real.ops_view import View

TARGET_P99_MS, TARGET_RATIO, TARGET_FRAME_MS = 10.0, 9.0, 400.0
ASK_SECONDS = 0.01
SCRAPE_SECONDS = 1.0
ONE_SHOTS = 15
# The first checks are spread over half an interval; measured is the steady state.
SETTLE_SECONDS = INTERVAL_SECONDS * 1.5
REQUEST = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"


def supervise(home: Path, urls: list[str], public: socket.socket) -> None:
    (home / "oatie.toml").write_text("[app]\nname = 'bench'\n")
    checks = {
        f"s{n}": {"type": "http", "url": url, "interval": INTERVAL_SECONDS} for n, url in enumerate(urls)
    }
    view = View(home, 1, **checks)
    services = ops_services(view)
    give_back()  # as the supervisor does once it has made them
    control = socket.socket(socket.AF_UNIX)
    control.bind(str(view.paths.control_socket))
    control.listen(64)

    stretches = Stretches()

    async def main() -> None:
        def settled() -> None:
            keep()
            stretches.tell()

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, settled)
        servers = (EmbeddedServer(services.public, public), EmbeddedServer(services.trusted, control))
        await asyncio.gather(services.run(), *(server.run_until_told() for server in servers))

    asyncio.run(main())


class Stretches:
    """Processor time of each callback: for so long nobody else is answered. SIGUSR1 tells and begins anew."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            began = time.thread_time()
            run(handle)
            self._seconds.append(time.thread_time() - began)

        asyncio.Handle._run = timed  # type: ignore[method-assign]

    def tell(self) -> None:
        found, self._seconds = sorted(self._seconds), []
        if found:
            p999 = found[int(len(found) * 0.999)] * 1000
            print(
                f"  the event loop was busy without a break (processor time): p99.9 {p999:.2f} ms,"
                f" most {found[-1] * 1000:.1f} ms, of {len(found)}",
                flush=True,
            )


async def answers(public: tuple[str, int], seconds: float, supervisor: int) -> None:
    await asyncio.sleep(SETTLE_SECONDS)
    os.kill(supervisor, signal.SIGUSR1)  # what the start took is told apart, and what it made is kept
    quiet = await _asked(public, seconds / 2)
    scrapes: list[float] = []
    scraping = asyncio.create_task(_scrape(public, scrapes))
    busy = await _asked(public, seconds)
    scraping.cancel()
    os.kill(supervisor, signal.SIGUSR1)
    await asyncio.sleep(SCRAPE_SECONDS)  # for it to tell
    for name, found in (("without a scrape", quiet), ("while scraped", busy)):
        p99 = found[int(len(found) * 0.99)] * 1000
        print(
            f"/health, {SERVICES} services of which {HANGING} hang, {name}: median"
            f" {statistics.median(found) * 1000:.2f} ms, p99 {p99:.2f} ms (target: {TARGET_P99_MS:g}),"
            f" most {found[-1] * 1000:.1f} ms, of {len(found)}"
        )
    print(f"  a scrape took {statistics.median(scrapes) * 1000:.0f} ms (median of {len(scrapes)})")


async def _asked(public: tuple[str, int], seconds: float) -> list[float]:
    reader, writer = await asyncio.open_connection(*public)
    found, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        await _get(reader, writer, b"/health")
        found.append(time.perf_counter() - began)
        await asyncio.sleep(ASK_SECONDS)
    writer.close()
    return sorted(found)


async def _scrape(public: tuple[str, int], took: list[float]) -> None:
    reader, writer = await asyncio.open_connection(*public, limit=64 * 1024 * 1024)
    while True:
        began = time.perf_counter()
        size = await _get(reader, writer, b"/health/metrics")
        took.append(time.perf_counter() - began)
        assert size > 500 * SERVICES
        await asyncio.sleep(SCRAPE_SECONDS)


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: bytes) -> int:
    writer.write(REQUEST % path)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
    await reader.readexactly(size)
    return size


def one_shot(directory: Path) -> None:
    commands = {"empty": ["-c", "pass"], "health": ["-m", "oatie_ops", "health"]}
    rivals = {
        name: partial(run_to_its_end, [sys.executable, *words], directory) for name, words in commands.items()
    }
    found = interleaved(rivals, ONE_SHOTS)
    for number, what in enumerate(("ms", "ms of the processor")):
        empty, health = ([each[number] for each in found[name]] for name in commands)
        print(
            f"oatie health against a supervisor: {statistics.median(health) * 1000:.0f} {what},"
            f" {ratio(health, empty):.1f} x an empty Python (target: {TARGET_RATIO:g})"
        )


def first_frame(directory: Path) -> None:
    took, used = [], []
    for _ in range(5):
        began = time.perf_counter()
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(directory)
            os.execv(sys.executable, [sys.executable, "-m", "oatie_ops", "health", "--watch"])
        shown = b""
        while b"sorted by" not in shown:
            if not select.select([terminal], [], [], 30)[0]:
                raise SystemExit(f"no frame within 30 s: {shown!r}")
            shown += os.read(terminal, 65536)
        took.append(time.perf_counter() - began)
        os.write(terminal, b"q")
        while select.select([terminal], [], [], 30)[0]:
            try:
                if not os.read(terminal, 65536):
                    break
            except OSError:  # the other end is gone
                break
        used.append(os.wait4(pid, 0)[2])
        os.close(terminal)
    busy = statistics.median(each.ru_utime + each.ru_stime for each in used)
    print(
        f"first frame of --watch: {statistics.median(took) * 1000:.0f} ms (target: {TARGET_FRAME_MS:g});"
        f" {busy * 1000:.0f} ms of the processor, until it was left again"
    )


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    fork = multiprocessing.get_context("fork")
    ready: multiprocessing.Queue[tuple[int, int]] = multiprocessing.Queue()
    targets = fork.Process(target=serve, args=(ready,), daemon=True)
    targets.start()
    good, hanging = (f"http://127.0.0.1:{port}/health" for port in ready.get())
    with tempfile.TemporaryDirectory() as name:
        large, small = Path(name, "large"), Path(name, "small")
        publics = [bind_public("127.0.0.1", 0) for _ in range(2)]
        urls = [[hanging] * HANGING + [good] * (SERVICES - HANGING), [good] * 3]
        supervisors = []
        for home, checked, public in zip((large, small), urls, publics, strict=True):
            home.mkdir()
            public.listen(64)
            supervisors.append(fork.Process(target=supervise, args=(home, checked, public), daemon=True))
            supervisors[-1].start()
        try:
            asyncio.run(answers(publics[0].getsockname(), seconds, supervisors[0].pid or 0))
            supervisors[0].terminate()
            one_shot(small)
            first_frame(small)
        finally:
            for process in (*supervisors, targets):
                process.terminate()
                process.join()


if __name__ == "__main__":
    main()
