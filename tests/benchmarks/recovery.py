"""What a SIGKILL costs, of one worker under load and of the supervisor; and a reload of broken code."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from tests.benchmarks.measuring import once_each
from tests.benchmarks.peers import GRANIAN, OATIE, PM2, UVICORN, Peer
from tests.benchmarks.report import Figure, Options, Report
from tests.benchmarks.servers import Running, left_out, present, running
from tests.real.waiting import port_answers

IMPORT_SECONDS = 0.5
WATCHED_SECONDS = 5.0
ORPHAN_DEADLINE_SECONDS = 3.0
ROUNDS = 3
# Capacity is back at most this long after bare uvicorn would have booted the worker.
SLACK_SECONDS = 0.150
NOTES = {GRANIAN.name: "with --respawn-failed-workers", PM2.name: "one process"}


def run(options: Options) -> Report:
    rounds = 1 if options.quick else ROUNDS
    figures = [*_worker_killed(rounds, options), *_supervisor_killed(rounds, options)]
    if not options.quick:
        figures += _broken_reload(rounds, options)
    return Report("recovery", "Recovery after kill -9", tuple(figures), left_out())


def _worker_killed(rounds: int, options: Options) -> Iterator[Figure]:
    """200 requests/s, half over new connections; capacity is back when a worker not seen before answers."""
    bare = {} if UVICORN.missing() else {UVICORN.name: _boot_seconds}
    boots = once_each(bare, rounds, options).get(UVICORN.name)
    boot_seconds = median(boots) if boots else None
    rivals = {peer.name: partial(_kill_under_load, peer) for peer in present(options)}
    for name, pairs in once_each(rivals, rounds, options).items():
        mine = name == OATIE.name
        failed = sum(pair[0] for pair in pairs)
        back = [pair[1] for pair in pairs if pair[1] is not None]
        note = NOTES.get(name, "")
        # One request per kill may have been inside the worker.
        yield Figure("kill -9 worker", name, failed, "failed", limit=len(pairs) if mine else None, note=note)
        yield Figure(
            "kill -9 worker",
            name,
            median(back) if back else None,
            "s until capacity is back",
            best=min(back, default=None),
            limit=round(boot_seconds + SLACK_SECONDS, 2) if mine and boot_seconds else None,
            note=f"bare uvicorn boots it in {boot_seconds:.2f} s" if mine and boot_seconds else note,
        )


def _boot_seconds() -> float:
    with running(UVICORN, workers=1, import_seconds=IMPORT_SECONDS) as server:
        return server.first_answer_seconds


def _kill_under_load(peer: Peer) -> tuple[int, float | None]:
    with (
        running(peer, import_seconds=IMPORT_SECONDS) as server,
        tempfile.TemporaryDirectory(prefix="oatie-bench-") as directory,
    ):
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


def _supervisor_killed(rounds: int, options: Options) -> Iterator[Figure]:
    rivals = {peer.name: partial(_orphans_seconds, peer) for peer in present(options)}
    for name, seconds in once_each(rivals, rounds, options).items():
        orphans = max(seconds) >= ORPHAN_DEADLINE_SECONDS
        yield Figure(
            "kill -9 supervisor",
            name,
            median(seconds),
            "s until nobody answers",
            limit=2 if name == OATIE.name else None,
            note=f"orphans still answer after {ORPHAN_DEADLINE_SECONDS:g} s" if orphans else "",
        )


def _orphans_seconds(peer: Peer) -> float:
    with running(peer) as server:
        begun = time.monotonic()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        while port_answers(server.project.port) and time.monotonic() - begun < ORPHAN_DEADLINE_SECONDS:
            time.sleep(0.01)
        return time.monotonic() - begun


def _broken_reload(rounds: int, options: Options) -> Iterator[Figure]:
    """New code that cannot be imported is on disk, and the supervisor is told to reload."""
    rivals = {peer.name: partial(_reload_of_broken_code, peer) for peer in present(options)}
    for name, results in once_each(rivals, rounds, options).items():
        failed, requests = (sum(result[at] for result in results) for at in (0, 1))
        lives = all(result[2] for result in results)
        note = f"of {requests}, supervisor {'lives' if lives else 'is gone'}"
        limit = 0 if name == OATIE.name else None
        yield Figure("reload of broken code", name, failed, "failed", limit=limit, note=note)


def _reload_of_broken_code(peer: Peer) -> tuple[int, int, bool]:
    with running(peer) as server, server.project.load("/", new=3, keep=3, rate=100) as load:
        server.project.version("2", import_error="a_module_that_is_not_there")
        server.reload()
        time.sleep(WATCHED_SECONDS)
        result = load.finish()
        lives = server.process.poll() is None
        _end(server)
    return result["failed"], result["requests"], lives


def _end(server: Running) -> None:
    """A peer that is shutting down by itself may be slow about it; nothing of it is measured any more."""
    server.process.terminate()
    try:
        server.process.wait(5)
    except subprocess.TimeoutExpired:
        server.process.kill()
