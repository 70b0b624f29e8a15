"""A pause that somebody may cut short."""

from __future__ import annotations

import asyncio


class Alarm:
    """Belongs to the event loop. One waits, anybody there rings.

    A thousand checks wait all the time; a timeout around an event costs a cancellation and two exceptions
    each time that it simply runs out, this a callback.
    """

    def __init__(self) -> None:
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Ends the pause of now, or the next one where none is under way."""
        self._rung = True
        self._release()

    async def pause(self, seconds: float) -> None:
        if not self._rung:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(seconds, self._release)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        self._rung = False

    def _release(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
