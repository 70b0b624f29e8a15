"""What was asked for over HTTP and takes longer than an answer may; each has an id to ask after."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oatie_ops.errors import OatieError

KEPT = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Operation:
    """``state``: running, succeeded or failed. Times are epoch seconds. ``events`` grows while it runs."""

    id: str
    kind: str
    service: str
    actor: str
    state: str
    started_at: float
    ended_at: float | None = None
    error: dict[str, Any] | None = None
    events: Sequence[dict[str, Any]] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "service": self.service,
            "actor": self.actor,
            "state": self.state,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "error": self.error,
            "events": list(self.events),
        }


class Operations:
    """The latest of them, in memory. ``on_end`` hears how each one ended."""

    def __init__(self, on_end: Callable[[Operation], None]) -> None:
        self._on_end = on_end
        self._operations: dict[str, Operation] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.ended: Counter[tuple[str, str]] = Counter()  # by service and state

    def get(self, operation_id: str) -> Operation | None:
        return self._operations.get(operation_id)

    def all(self) -> list[Operation]:
        """Oldest first."""
        return list(self._operations.values())

    async def start(
        self,
        kind: str,
        service: str,
        actor: str,
        work: Callable[[], Awaitable[dict[str, Any]]],
        events: Sequence[dict[str, Any]] = (),
    ) -> Operation:
        """Starts it, or gives back the one of this kind and service that is under way.

        ``work`` returns a ``result`` event; its status ``failed`` is a failure. Raises `OatieError` where
        it is refused at once. ``events`` is what ``work`` adds to on its way.
        """
        for operation in self._operations.values():
            if (operation.kind, operation.service, operation.state) == (kind, service, "running"):
                return operation
        operation = Operation(
            secrets.token_hex(8), kind, service, actor, "running", time.time(), events=events
        )
        self._keep(operation)
        refused: list[OatieError] = []
        task = asyncio.get_running_loop().create_task(self._run(operation, work, refused))
        self._tasks[operation.id] = task
        # What is refused (another switch is under way) is refused before its first wait.
        await asyncio.sleep(0)
        if refused:
            del self._operations[operation.id]
            raise refused[0]
        return self._operations[operation.id]

    async def _run(
        self,
        operation: Operation,
        work: Callable[[], Awaitable[dict[str, Any]]],
        refused: list[OatieError],
    ) -> None:
        error: dict[str, Any] | None = None
        try:
            result = await work()
            if result.get("status") == "failed":
                error = dict(result.get("error") or {"what": "it failed"})
        except OatieError as raised:
            refused.append(raised)
            error = raised.as_dict()
        except Exception as crash:
            log.exception("%s of %s crashed", operation.kind, operation.service)
            error = {"what": f"internal error: {type(crash).__name__}"}
        finally:
            del self._tasks[operation.id]
        state = "succeeded" if error is None else "failed"
        ended = replace(operation, state=state, ended_at=time.time(), error=error)
        self._operations[operation.id] = ended
        self.ended[ended.service, ended.state] += 1
        self._on_end(ended)

    def _keep(self, operation: Operation) -> None:
        self._operations[operation.id] = operation
        ended = [known.id for known in self._operations.values() if known.state != "running"]
        for old in ended[: max(0, len(self._operations) - KEPT)]:
            del self._operations[old]
