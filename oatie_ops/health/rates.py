"""For checks whose figure is a rate: what was counted between this run and the one before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

FIRST_SPAN_SECONDS = 0.5

T = TypeVar("T")


class Sampler(Generic[T]):
    """``read`` must be quick: it runs in the event loop."""

    def __init__(self, read: Callable[[], T], first_span_seconds: float = FIRST_SPAN_SECONDS) -> None:
        self._read = read
        self._first_span_seconds = first_span_seconds
        self._before: tuple[float, T] | None = None

    async def pair(self) -> tuple[T, T, float]:
        """Before, now, and the seconds between. The first run waits a moment to have a before."""
        before = self._before
        if before is None:
            before = time.monotonic(), self._read()
            await asyncio.sleep(self._first_span_seconds)
        self._before = time.monotonic(), self._read()
        return before[1], self._before[1], self._before[0] - before[0]
