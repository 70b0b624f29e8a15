"""A load generator that can prove "no request was lost": ``python -m tests.real.load --url … --json``.

It runs as a process of its own so that a busy test cannot slow it or hide a gap. Clients of three kinds:
*new* opens a connection for every request, *keep* holds one and never retries (a request that fails on a
kept connection is a failure, reason ``cut``), *slow* asks for an answer that takes seconds. A connection
that the server announced to close (``Connection: close``) is left without complaint.

With ``--json``, lines on stdout: ``started`` once every client but the slow ones has had an answer,
``progress`` ten times a second, ``result`` at the end; without it a few plain lines at the end. Times
named ``at`` or ``*_at`` are epoch seconds. It stops at ``--seconds``, when ``--until-file`` appears, or on
SIGINT/SIGTERM, and lets the requests in flight finish. Exit code 1 when a request failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.real.http1 import Connection, ExchangeFailed, Response

PROGRESS_SECONDS = 0.1
# A refused connection fails in microseconds; without a pause one outage would be millions of failures.
PAUSE_AFTER_FAILURE_SECONDS = 0.02
STALE = "stale"


@dataclass(frozen=True)
class Record:
    at: float  # epoch seconds when the request was begun
    kind: str  # new | keep | slow
    outcome: str  # "ok", or the reason of the failure
    latency_seconds: float
    detail: str = ""
    release: str = ""
    pid: str = ""
    on_connection: int = 0  # exchanges finished before on the same connection


@dataclass
class Tally:
    """Everything seen; aggregates are exact, single records are kept up to a limit."""

    limit: int
    records: list[Record] = field(default_factory=list)
    failures: list[Record] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    connections: Counter[str] = field(default_factory=Counter)
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    pids: Counter[str] = field(default_factory=Counter)
    answered: set[str] = field(default_factory=set)
    last_ok_at: float = 0.0
    longest_gap_seconds: float = 0.0

    def add(self, record: Record) -> None:
        self.outcomes[record.outcome] += 1
        if len(self.records) < self.limit:
            self.records.append(record)
        if record.outcome != "ok":
            if len(self.failures) < self.limit:
                self.failures.append(record)
            return
        self.pids[record.pid] += 1
        answered_at = record.at + record.latency_seconds
        seen = self.releases.setdefault(
            record.release, {"requests": 0, "first_at": record.at, "last_at": answered_at, "kinds": {}}
        )
        seen["requests"] += 1
        seen["last_at"] = max(seen["last_at"], answered_at)
        seen["kinds"][record.kind] = seen["kinds"].get(record.kind, 0) + 1
        if record.kind != "slow":
            if self.last_ok_at:
                self.longest_gap_seconds = max(self.longest_gap_seconds, answered_at - self.last_ok_at)
            self.last_ok_at = answered_at

    @property
    def ok(self) -> int:
        return self.outcomes["ok"]

    @property
    def failed(self) -> int:
        return sum(self.outcomes.values()) - self.ok


@dataclass(frozen=True)
class Plan:
    host: str
    port: int
    path: str
    slow_path: str
    header_lines: tuple[str, ...]
    request_timeout_seconds: float
    slow_timeout_seconds: float
    careful: bool
    pause_seconds: float  # between the starts of two requests of one client; 0 = without a pause
    statuses: frozenset[int]

    def request(self, kind: str, marker: str, *, close: bool) -> bytes:
        path = self.slow_path if kind == "slow" else self.path
        lines = [f"GET {path} HTTP/1.1", f"Host: {self.host}:{self.port}", f"X-Load-Id: {marker}"]
        lines += self.header_lines
        if close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Client:
    """One client; runs until `stop` is set, one request at a time."""

    def __init__(self, name: str, kind: str, plan: Plan, tally: Tally, *, announce_close: bool) -> None:
        self.name, self.kind, self.plan, self.tally = name, kind, plan, tally
        self.announce_close = announce_close
        self.connection: Connection | None = None
        self.sent = 0

    async def run(self, stop: asyncio.Event, first_delay_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + first_delay_seconds
        while not await _stopped_before(stop, due - loop.time()):
            record = await self._one_request()
            self.tally.add(record)
            if record.outcome == "ok":
                if self.kind != "slow":
                    self.tally.answered.add(self.name)
                # A client that fell behind starts afresh: catching up would be a burst no user makes.
                due = max(due + self.plan.pause_seconds, loop.time())
            else:
                due = loop.time() + max(self.plan.pause_seconds, PAUSE_AFTER_FAILURE_SECONDS)
        self._drop()

    async def _one_request(self) -> Record:
        if self.plan.careful and self.connection and self.connection.closed_by_peer():
            self.tally.connections[STALE] += 1
            self._drop()
        slow = self.kind == "slow"
        timeout_seconds = self.plan.slow_timeout_seconds if slow else self.plan.request_timeout_seconds
        before = self.connection.requests if self.connection else 0
        at, begun = time.time(), time.perf_counter()
        phase = "connect" if self.connection is None else "answer"
        try:
            async with asyncio.timeout(timeout_seconds):
                if self.connection is None:
                    self.connection = await Connection.open(self.plan.host, self.plan.port)
                    self.tally.connections["opened"] += 1
                    phase = "answer"
                response = await self._ask(self.connection)
        except (ExchangeFailed, TimeoutError, ValueError) as error:
            self._drop()
            reason, detail = _explain(error, phase)
            return Record(
                at, self.kind, reason, time.perf_counter() - begun, detail=detail, on_connection=before
            )
        latency = time.perf_counter() - begun
        if response.closes:
            self.tally.connections["announced-close"] += 1
        if response.closes or self.kind != "keep":
            self._drop()
        return Record(
            at,
            self.kind,
            "ok",
            latency,
            release=response.headers.get("x-release", ""),
            pid=response.headers.get("x-pid", ""),
            on_connection=before,
        )

    async def _ask(self, connection: Connection) -> Response:
        self.sent += 1
        marker = f"{self.name}-{self.sent}"
        response = await connection.exchange(self.plan.request(self.kind, marker, close=self.announce_close))
        if response.status not in self.plan.statuses:
            raise ExchangeFailed("bad-status", f"{response.status} {response.body[:80]!r}")
        if response.headers.get("x-load-id", marker) != marker:
            raise ExchangeFailed("mixed-up", f"asked {marker}, got {response.headers['x-load-id']}")
        return response

    def _drop(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


async def _stopped_before(stop: asyncio.Event, seconds: float) -> bool:
    if seconds > 0:
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            return False
    return stop.is_set()


def _explain(error: Exception, phase: str) -> tuple[str, str]:
    if isinstance(error, ExchangeFailed):
        return error.reason, error.detail
    if isinstance(error, TimeoutError):
        return ("connect-timeout", "") if phase == "connect" else ("timeout", "no whole answer in time")
    return "bad-response", str(error)


def _latencies(records: list[Record]) -> dict[str, float]:
    values = sorted(record.latency_seconds * 1000 for record in records if record.outcome == "ok")
    if not values:
        return {}
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(values[min(len(values) - 1, int(len(values) * q))], 2) for name, q in at.items()}


def summary(tally: Tally, url: str, started_at: float, *, failures_shown: int) -> dict[str, Any]:
    seconds = time.time() - started_at
    kinds: dict[str, Any] = {}
    for kind in ("new", "keep", "slow"):
        records = [record for record in tally.records if record.kind == kind]
        if records:
            failed = sum(record.outcome != "ok" for record in records)
            kinds[kind] = {"requests": len(records), "failed": failed, "latency_ms": _latencies(records)}
    return {
        "event": "result",
        "url": url,
        "started_at": started_at,
        "seconds": round(seconds, 3),
        "requests": tally.ok + tally.failed,
        "ok": tally.ok,
        "failed": tally.failed,
        "cut": tally.outcomes["cut"],
        "rate": round(tally.ok / seconds, 1) if seconds else 0.0,
        "outcomes": dict(tally.outcomes),
        "connections": dict(tally.connections),
        "kinds": kinds,
        "releases": tally.releases,
        "pids": dict(tally.pids),
        "longest_gap_ms": round(tally.longest_gap_seconds * 1000, 1),
        "failures": [asdict(record) for record in tally.failures[:failures_shown]],
        "failures_left_out": max(0, tally.failed - failures_shown),
    }


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _plain(result: dict[str, Any]) -> None:
    print(
        f"{result['requests']} requests, {result['failed']} failed ({result['cut']} cut), {result['rate']}/s"
    )
    for kind, seen in result["kinds"].items():
        print(f"  {kind:5} {seen['requests']:7} requests {seen['failed']:5} failed  ms {seen['latency_ms']}")
    for failure in result["failures"]:
        after_seconds = failure["at"] - result["started_at"]
        print(f"  +{after_seconds:.3f}s {failure['kind']:5} {failure['outcome']} {failure['detail']}")


async def _narrate(tally: Tally, clients: int, stop: asyncio.Event) -> None:
    started = False
    while not await _stopped_before(stop, PROGRESS_SECONDS):
        if not started and len(tally.answered) >= clients:
            started = True
            _say({"event": "started", "at": time.time()})
        releases = {name: entry["requests"] for name, entry in tally.releases.items()}
        counts = {"ok": tally.ok, "failed": tally.failed}
        _say(
            {"event": "progress", "at": time.time(), **counts, "releases": releases, "pids": dict(tally.pids)}
        )


async def _stop_when_exists(file: Path, stop: asyncio.Event) -> None:
    while not await _stopped_before(stop, PROGRESS_SECONDS):
        if file.exists():
            stop.set()


async def drive(arguments: argparse.Namespace) -> Tally:
    target = urlsplit(arguments.url)
    fast = arguments.new + arguments.keep
    plan = Plan(
        host=target.hostname or "127.0.0.1",
        port=target.port or 80,
        path=(target.path or "/") + (f"?{target.query}" if target.query else ""),
        slow_path=arguments.slow_path,
        header_lines=tuple(arguments.header),
        request_timeout_seconds=arguments.timeout,
        slow_timeout_seconds=arguments.slow_timeout,
        careful=arguments.careful,
        pause_seconds=fast / arguments.rate if arguments.rate else 0.0,
        statuses=frozenset(arguments.status or range(200, 300)),
    )
    tally = Tally(limit=arguments.records_limit)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    timer = loop.call_later(arguments.seconds, stop.set)
    counts = {"new": arguments.new, "keep": arguments.keep, "slow": arguments.slow}
    # Of the new-connection clients every second announces the close itself, the others just close.
    clients = [
        Client(f"{kind}{i}", kind, plan, tally, announce_close=kind == "new" and i % 2 == 0)
        for kind, count in counts.items()
        for i in range(count)
    ]
    async with asyncio.TaskGroup() as group:
        for i, client in enumerate(clients):
            slow_stagger = arguments.slow_stagger * (i - fast) if client.kind == "slow" else 0.0
            group.create_task(client.run(stop, slow_stagger + i * 0.002))
        if arguments.json:
            group.create_task(_narrate(tally, fast, stop))
        if arguments.until_file:
            group.create_task(_stop_when_exists(arguments.until_file, stop))
    timer.cancel()
    return tally


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.real.load", description=__doc__)
    made.add_argument("--url", required=True)
    made.add_argument("--new", type=int, default=12, help="clients with a new connection per request")
    made.add_argument("--keep", type=int, default=12, help="keep-alive clients that never retry")
    made.add_argument("--slow", type=int, default=0, help="clients of --slow-path, one after the other")
    made.add_argument("--slow-path", default="/slow?seconds=5")
    made.add_argument("--slow-timeout", type=float, default=30.0)
    made.add_argument("--slow-stagger", type=float, default=0.5, help="seconds between their first requests")
    made.add_argument("--seconds", type=float, default=60.0, help="never runs longer than this")
    made.add_argument("--until-file", type=Path, help="stops when this file appears")
    made.add_argument("--rate", type=float, default=0.0, help="requests/s of all clients; 0 = no pause")
    made.add_argument("--timeout", type=float, default=10.0, help="seconds for one request")
    made.add_argument("--careful", action="store_true", help="keep-alive clients look before they write")
    made.add_argument("--header", action="append", default=[], metavar="'Name: value'")
    made.add_argument("--status", action="append", type=int, help="statuses that are right; default 2xx")
    made.add_argument("--records", type=Path, help="write every request to this file as JSON lines")
    made.add_argument("--records-limit", type=int, default=300_000)
    made.add_argument("--failures", type=int, default=50, help="failures listed in the result")
    made.add_argument("--json", action="store_true", help="JSON lines instead of a plain summary")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    started_at = time.time()
    tally = asyncio.run(drive(arguments))
    if arguments.records:
        with arguments.records.open("w") as out:
            out.writelines(json.dumps(asdict(record)) + "\n" for record in tally.records)
    result = summary(tally, arguments.url, started_at, failures_shown=arguments.failures)
    if arguments.json:
        _say(result)
    else:
        _plain(result)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
