"""Waits until one worker itself says that it is ready, or explains why it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from oatie_ops.supervisor.explain import STACK_MARK, GateEvidence, explain_gate
from oatie_ops.supervisor.probe import ProbeResult, probe
from oatie_ops.supervisor.protocol import STACK_SIGNAL
from oatie_ops.supervisor.workers import Worker, WorkerState

FAST_POLL_SECONDS = 0.025
SLOW_POLL_SECONDS = 0.25
FAST_PHASE_SECONDS = 2.0
PROBE_TIMEOUT_SECONDS = 5.0
LOG_LINES = 30
STACK_SECONDS = 2.0
STACK_TRIES = 20

OnWait = Callable[[Worker, float, str], None]


async def pass_gate(
    worker: Worker,
    *,
    timeout_seconds: float,
    health_check: bool,
    log_tail: Callable[[int, int], Sequence[str]],
    on_wait: OnWait = lambda _worker, _seconds, _why: None,
) -> None:
    """Returns once the worker may serve. Raises the explained `OatieError` otherwise."""
    deadline = worker.started_monotonic + timeout_seconds
    timed_out = False
    last: ProbeResult | None = None
    try:
        on_wait(worker, 0.0, "starting")
        booted = await worker.wait_booted(max(0.0, deadline - time.monotonic()))
        if booted and health_check:
            last = await _poll(worker, deadline, on_wait)
    except TimeoutError:
        booted, timed_out = False, True
    if worker.alive and booted and (not health_check or (last is not None and _is_ready(worker, last))):
        worker.state = WorkerState.READY
        worker.gated = True
        worker.note("gated")
        return
    if worker.alive and worker.boot_error is not None:
        await _wait_for_end(worker)
    raise explain_gate(await _evidence(worker, last, log_tail, booted=booted, timed_out=timed_out))


async def _poll(worker: Worker, deadline: float, on_wait: OnWait) -> ProbeResult | None:
    app = worker.spec.app
    began = time.monotonic()
    last: ProbeResult | None = None
    while worker.alive and (left := deadline - time.monotonic()) > 0:
        found = await probe(worker.port, app.ready or "/", app.ready_host, min(PROBE_TIMEOUT_SECONDS, left))
        if last is not None and time.monotonic() >= deadline and not _tells_more(found, last):
            return last
        last = found
        if last.status is not None:
            worker.note("listening")
        if _is_ready(worker, last):
            return last
        on_wait(worker, time.monotonic() - began, _shown(last))
        fast = time.monotonic() - began < FAST_PHASE_SECONDS
        await asyncio.sleep(FAST_POLL_SECONDS if fast else SLOW_POLL_SECONDS)
    return last


def _tells_more(cut_short: ProbeResult, before: ProbeResult) -> bool:
    """Whether a probe that the deadline cut short says more than the one before it, which had its time.

    A program that took the connection and keeps silent explains itself better than the refusal of the moment
    before it listened; any answer explains better than a silence that had only the rest of the time.
    """
    return cut_short.status is not None or (cut_short.connected and not before.connected)


def _is_ready(worker: Worker, result: ProbeResult) -> bool:
    return result.ready(declared=worker.spec.app.ready is not None)


def _shown(result: ProbeResult) -> str:
    return f"GET {result.path}: {result.error or f'status {result.status}'}"


async def _wait_for_end(worker: Worker) -> None:
    try:
        await asyncio.wait_for(worker.exited.wait(), 2.0)
    except TimeoutError:
        worker.kill()


async def _evidence(
    worker: Worker,
    last: ProbeResult | None,
    log_tail: Callable[[int, int], Sequence[str]],
    *,
    booted: bool,
    timed_out: bool,
) -> GateEvidence:
    ports: list[int] = []
    if worker.alive and worker.spec.app.command:
        ports = await asyncio.to_thread(listening_ports, worker.pid)
    ended = worker.ended  # not by the question that follows
    if timed_out:
        await _ask_where_it_is(worker, log_tail)
    await asyncio.sleep(0)  # lets the last bytes of the worker's output reach the log
    return GateEvidence(
        spec=worker.spec,
        waited_seconds=time.monotonic() - worker.started_monotonic,
        booted=booted,
        timed_out=timed_out,
        ended=ended,
        boot_error=worker.boot_error,
        last_probe=last,
        private_port=worker.port,
        listening_ports=ports,
        log_tail=log_tail(worker.id, LOG_LINES),
    )


async def _ask_where_it_is(worker: Worker, log_tail: Callable[[int, int], Sequence[str]]) -> None:
    """Has a worker that was not done with its start write its stack to its log. A program would die of it."""
    if not worker.alive or worker.spec.app.command:
        return
    worker.dump_stack(STACK_SIGNAL)
    for _ in range(STACK_TRIES):
        await asyncio.sleep(STACK_SECONDS / STACK_TRIES)
        if not worker.alive or any(STACK_MARK in line for line in log_tail(worker.id, LOG_LINES)):
            return


def listening_ports(pid: int) -> list[int]:
    """TCP ports on which a process or a child of it listens."""
    import psutil

    ports: set[int] = set()
    try:
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            heard = one.net_connections("tcp")
            ports |= {c.laddr[1] for c in heard if c.status == psutil.CONN_LISTEN and c.laddr}
    except psutil.Error:
        return sorted(ports)
    return sorted(ports)
