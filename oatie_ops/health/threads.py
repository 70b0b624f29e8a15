"""Threads for checks that block (file systems, name lookups), bounded and apart from everything else.

A thread that hangs in the kernel cannot be stopped. So each check has at most one call under way, a call
that hangs costs its own thread only, threads are daemons (an exit never waits for them), and asyncio's
default executor, which other code depends on, is never used.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from oatie_ops.health.attempt import Attempt

DEFAULT_LIMIT = 32

T = TypeVar("T")


class StillHanging(Exception):
    """The call before this one, for the same key, has not come back; ``seconds`` since it began."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the attempt before has been hanging for {seconds:.0f} s")
        self.seconds = seconds


class CheckThreads:
    """Belongs to the event loop that it was made in."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._free = asyncio.Semaphore(limit)
        self._began: dict[Hashable, float] = {}

    async def call(self, key: Hashable, work: Callable[[], T], attempt: Attempt) -> T:
        """``work()`` in a thread. Cancelling the wait leaves the thread alone until it ends by itself.

        Raises what ``work`` raises, and `StillHanging` while an earlier call for ``key`` is under way.
        """
        if key in self._began:
            raise StillHanging(time.monotonic() - self._began[key])
        await self._admit(attempt)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._began[key] = time.monotonic()
        thread = threading.Thread(
            target=self._run, args=(key, work, future), name=f"check-{key}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            self._end(key)
            raise
        return await future

    async def _admit(self, attempt: Attempt) -> None:
        meant = attempt.waiting_for
        attempt.measuring, attempt.waiting_for = False, "waiting for a free thread: other checks hang"
        await self._free.acquire()
        attempt.measuring, attempt.waiting_for = True, meant

    def _run(self, key: Hashable, work: Callable[[], T], future: asyncio.Future[T]) -> None:
        loop = future.get_loop()
        try:
            deliver = partial(_deliver, future.set_result, future, work())
        except Exception as error:  # noqa: BLE001 - handed to the caller
            deliver = partial(_deliver, future.set_exception, future, error)

        def finish() -> None:
            self._end(key)
            deliver()

        # A closed loop means that the process is leaving and nobody waits for this.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(finish)

    def _end(self, key: Hashable) -> None:
        del self._began[key]
        self._free.release()


def _deliver(put: Callable[[Any], None], future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        put(value)
