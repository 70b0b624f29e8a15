"""Workers that crash or hang: what is said of it, and the error tracker that is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

from oatie_ops.recovery.errors_crash import record_crash
from oatie_ops.supervisor.machinery import Machinery
from oatie_ops.supervisor.workers import Worker

LOG_LINES = 20
# The tracker is imported after the workers were booted; one of them may have died before.
TRIES = 6
AGAIN_SECONDS = 5.0


@dataclass(frozen=True)
class LastEnd:
    """The newest unplanned end of a worker that had served. ``at`` is in epoch seconds."""

    at: float
    what: str
    log: tuple[str, ...]


def describe_end(machinery: Machinery, worker: Worker) -> LastEnd:
    lived = time.monotonic() - (worker.ready_monotonic or worker.started_monotonic)
    return LastEnd(
        at=time.time(),
        what=f"worker {worker.id} (pid {worker.pid}) {worker.ended}, {lived:.1f} s after it was ready",
        log=tuple(last_lines(machinery, worker)),
    )


def last_lines(machinery: Machinery, worker: Worker) -> list[str]:
    return list(machinery.sink.tail(worker.id, LOG_LINES))


async def tell(machinery: Machinery, what: str, evidence: Iterable[str], release: str) -> None:
    """Goes on trying for half a minute, then the log has it alone."""
    text = "\n".join(evidence)
    for _ in range(TRIES):
        if record_crash(str(machinery.paths.errors_socket), what, text, release=release):
            return
        await asyncio.sleep(AGAIN_SECONDS)
