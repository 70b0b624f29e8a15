"""Notes how each worker started, until somebody writes it down (`oatie_ops.supervisor.sampling`)."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from oatie_ops.records import dataclass

if TYPE_CHECKING:
    from oatie_ops.supervisor.workers import Worker

WAITING = 200


@dataclass(frozen=True)
class Noted:
    """A copy of what a worker told, for another thread. ``at`` is epoch seconds, ``began`` monotonic."""

    event: str
    at: float
    pid: int
    worker: int
    generation: int
    release: str
    program: bool
    began: float
    reports: dict[str, dict[str, Any]]


class StartLog:
    """`note` is called in the loop, `take` in any one thread."""

    def __init__(self) -> None:
        self._waiting: deque[Noted] = deque(maxlen=WAITING)

    def note(self, worker: Worker, event: str) -> None:
        """``event``: serving or first-request."""
        self._waiting.append(
            Noted(
                event,
                time.time(),
                worker.pid,
                worker.id,
                worker.generation,
                worker.spec.name,
                worker.spec.app.run is None,
                worker.began_monotonic,
                dict(worker.reports),
            )
        )

    def take(self) -> Noted | None:
        return self._waiting.popleft() if self._waiting else None

    def put_back(self, noted: Noted) -> None:
        self._waiting.appendleft(noted)
