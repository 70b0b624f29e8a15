"""Workers that crash or hang: what is said of it, and the error tracker that is told."""

from __future__ import annotations

import time
from collections.abc import Iterable

from oatie_ops.records import dataclass
from oatie_ops.recovery.errors_crash import record_crash
from oatie_ops.supervisor.machinery import Machinery
from oatie_ops.supervisor.workers import Worker

LOG_LINES = 20


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


def tell(machinery: Machinery, what: str, evidence: Iterable[str], release: str) -> None:
    """As an error of the application."""
    record_crash(str(machinery.paths.errors_socket), what, "\n".join(evidence), release=release)
