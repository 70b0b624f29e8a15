"""What a SIGKILL costs: of one worker under load, and of the supervisor."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.report import Figure, judged
from tests.benchmarks.servers import GRANIAN, OATIE, UVICORN, Running, present, running
from tests.real.waiting import port_answers

IMPORT_SECONDS = 0.5
WATCHED_SECONDS = 4.0
ORPHAN_DEADLINE_SECONDS = 10.0


def worker_killed() -> Iterator[Figure]:
    """200 requests/s, half over new connections; capacity is back when a worker not seen before answers."""
    uvicorn_boot = _boot_seconds()
    for peer in present():
        with running(peer, import_seconds=IMPORT_SECONDS) as server:
            failed, back_seconds = _kill_under_load(server)
        if peer is OATIE:
            most = uvicorn_boot + 0.150
            yield judged("kill -9 worker", peer.name, failed, "failed", "<= in flight", lambda v: v <= 1)
            yield judged(
                "kill -9 worker",
                peer.name,
                back_seconds,
                "s until capacity is back",
                f"<= {most:.2f}",
                lambda v, m=most: v <= m,
                f"bare uvicorn boots it in {uvicorn_boot:.2f} s",
            )
        else:
            note = "with --respawn-failed-workers" if peer is GRANIAN else ""
            yield Figure("kill -9 worker", peer.name, failed, "failed", note=note)
            yield Figure("kill -9 worker", peer.name, back_seconds, "s until capacity is back")


def _boot_seconds() -> float:
    with running(UVICORN, workers=1, import_seconds=IMPORT_SECONDS) as server:
        return server.first_answer_seconds


def _kill_under_load(server: Running) -> tuple[int, float | None]:
    with tempfile.TemporaryDirectory(prefix="oatie-bench-") as directory:
        file = Path(directory) / "records"
        with server.project.load("/", new=4, keep=4, rate=200, careful=True, records=file) as load:
            load.wait_for_more(100)
            server.kill_worker()
            killed_at = time.time()
            time.sleep(WATCHED_SECONDS)
            load.finish()
        records = [json.loads(line) for line in file.read_text().splitlines()]
    before = {record["pid"] for record in records if record["at"] < killed_at}
    fresh = [
        r["at"] for r in records if r["at"] >= killed_at and r["outcome"] == "ok" and r["pid"] not in before
    ]
    failed = sum(record["outcome"] != "ok" for record in records)
    return failed, min(fresh) - killed_at if fresh else None


def supervisor_killed() -> Iterator[Figure]:
    for peer in present():
        with running(peer) as server:
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            begun = time.monotonic()
            while port_answers(server.project.port) and time.monotonic() - begun < ORPHAN_DEADLINE_SECONDS:
                time.sleep(0.01)
            seconds = time.monotonic() - begun
            orphans = port_answers(server.project.port)
            note = f"orphans still answer after {ORPHAN_DEADLINE_SECONDS:g} s" if orphans else ""
            if peer is OATIE:
                yield judged(
                    "kill -9 supervisor",
                    peer.name,
                    seconds,
                    "s until no orphan",
                    "<= 2",
                    lambda v: v <= 2,
                    note,
                )
            else:
                yield Figure("kill -9 supervisor", peer.name, seconds, "s until no orphan", note=note)


def broken_reload() -> Iterator[Figure]:
    """New code that cannot be imported is on disk, and the supervisor is told to reload."""
    for peer in present():
        if peer.reload_signal is None:
            continue
        with running(peer) as server, server.project.load("/", new=3, keep=3, rate=100) as load:
            server.project.version("2", import_error="a_module_that_is_not_there")
            server.process.send_signal(peer.reload_signal)
            time.sleep(WATCHED_SECONDS)
            result = load.finish()
            lives = server.process.poll() is None
            _end(server)
        note = f"of {result['requests']}, supervisor {'lives' if lives else 'is gone'}"
        if peer is OATIE:
            yield judged(
                "reload of broken code", peer.name, result["failed"], "failed", "0", lambda v: v == 0, note
            )
        else:
            yield Figure("reload of broken code", peer.name, result["failed"], "failed", note=note)


def _end(server: Running) -> None:
    """A peer that is shutting down by itself may be slow about it; nothing of it is measured any more."""
    server.process.terminate()
    try:
        server.process.wait(5)
    except subprocess.TimeoutExpired:
        server.process.kill()
