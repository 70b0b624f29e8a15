"""Writes what a recovery does before it does it. A store that is locked, full or gone stops no recovery."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.threads import CheckThreads, StillHanging
from oatie_ops.store import Store, StoreError
from oatie_ops.store.recoveries import RecoveryRow

PATIENCE_SECONDS = 2.0
BUSY_TIMEOUT_SECONDS = 1.0
CLOSE_SECONDS = 1.5

T = TypeVar("T")
log = logging.getLogger(__name__)


class Journal:
    """From one event loop. An id of None: it could not be written down, and neither is what belongs to it."""

    def __init__(self, database: Path) -> None:
        self._database = database
        # Its own thread: checks that hang must not take it.
        self._threads = CheckThreads(limit=1)

    async def recall(self) -> tuple[dict[str, dict[str, Any]], list[RecoveryRow]]:
        """Where each service stood, and what somebody who is gone left unfinished."""

        def work(store: Store) -> tuple[dict[str, dict[str, Any]], list[RecoveryRow]]:
            return store.recoveries.progress(), store.recoveries.interrupt()

        return await self._do(work) or ({}, [])

    async def save(self, progress: Mapping[str, Mapping[str, Any]]) -> None:
        await self._do(lambda store: store.recoveries.save_progress(progress))

    async def begin(
        self, service: str, trigger: str, actor: str, reason: str, failed_at: float | None
    ) -> int | None:
        return await self._do(
            lambda store: store.recoveries.begin(service, trigger, actor, reason, failed_at)
        )

    async def end(self, number: int | None, outcome: str, detail: str = "") -> None:
        if number is not None:
            await self._do(lambda store: store.recoveries.end(number, outcome, detail))

    async def begin_try(
        self, recovery: int | None, service: str, *, rung: int, name: str, attempt: int, before: str
    ) -> int | None:
        if recovery is None:
            return None
        return await self._do(
            lambda store: store.recoveries.begin_try(
                recovery, service, rung=rung, name=name, attempt=attempt, before=before
            )
        )

    async def acted(self, number: int | None, *, ok: bool, output: str) -> None:
        if number is not None:
            await self._do(lambda store: store.recoveries.acted(number, ok=ok, output=output))

    async def end_try(self, number: int | None, *, proven: bool, proof: str) -> None:
        if number is not None:
            await self._do(lambda store: store.recoveries.end_try(number, proven=proven, proof=proof))

    async def event(self, service: str, message: str, data: Mapping[str, Any]) -> None:
        """For the timeline that people read."""
        await self._do(lambda store: store.events.add("recovery", service, message, data))

    async def tried(self, service: str, rung: str, outcome: str, since: float) -> None:
        """Notes it at the errors that the service has had ``since`` (epoch seconds)."""
        await self._do(lambda store: store.errors.recovered(service, rung, outcome, since))

    async def audit(self, actor: str, origin: str, service: str, result: str, detail: str) -> None:
        await self._do(lambda store: store.audit.add(actor, origin, "recover", service, result, detail))

    def close(self) -> None:
        """What is unfinished now stays so; a store that hangs is not waited for long."""

        def interrupt() -> None:
            with (
                contextlib.suppress(StoreError, OSError),
                Store.open(self._database, busy_timeout_seconds=BUSY_TIMEOUT_SECONDS) as store,
            ):
                store.recoveries.interrupt()

        last = threading.Thread(target=interrupt, name="recovery-close", daemon=True)
        last.start()
        last.join(CLOSE_SECONDS)

    async def _do(self, work: Callable[[Store], T]) -> T | None:
        def run() -> T:
            with Store.open(self._database, busy_timeout_seconds=BUSY_TIMEOUT_SECONDS) as store:
                return work(store)

        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._threads.call("journal", run, Attempt())
        except (StoreError, OSError, StillHanging) as error:  # TimeoutError is an OSError
            why = error.what if isinstance(error, StoreError) else str(error) or type(error).__name__
            log.warning("a recovery is not written down: %s", why)
            return None
