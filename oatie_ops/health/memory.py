"""Carries what the board knows into the store and back, beside the checks and never in their way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.board import Board
from oatie_ops.health.heartbeats import Heartbeats
from oatie_ops.health.keeper import LOOK_SECONDS, Keeper
from oatie_ops.health.model import Clock
from oatie_ops.health.threads import CheckThreads, StillHanging

SAVE_SECONDS = 60.0
# Several kilobytes each: a thousand services are written every five minutes, not every minute.
SAVE_SECONDS_PER_SERVICE = 0.25
RECALL_PATIENCE_SECONDS = 1.0
CLOSE_PATIENCE_SECONDS = 1.5
# So many are turned into JSON before the event loop gets a turn; about a millisecond.
CHUNK = 10

T = TypeVar("T")
log = logging.getLogger(__name__)


class Memory:
    """``keeper`` None: nothing is remembered, but windows that were handed over still begin and end."""

    def __init__(self, board: Board, beats: Heartbeats, keeper: Keeper | None, clock: Clock) -> None:
        self._board = board
        self._beats = beats
        self._keeper = keeper
        self._clock = clock
        # Its own, because checks that hang could take all of the shared ones.
        self._threads = CheckThreads(limit=1)
        self._look = asyncio.Event()

    def look_soon(self) -> None:
        self._look.set()

    def add(self, service: str) -> None:
        """The newest transition of this service is to be written."""
        if self._keeper is not None:
            self._keeper.add(service, self._board.snapshot.services[service].standing.transitions[0])

    async def recall(self) -> None:
        """Before the first check; a store that does not answer at once is asked again later."""
        if self._keeper is None:
            return
        keeper, services = self._keeper, list(self._board.snapshot.services)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECALL_PATIENCE_SECONDS):
                recalled = await self._in_thread(lambda: keeper.recall(services, forget_others=True))
                if recalled is not None:
                    self._restore(recalled.tracks)
                    self._board.hold(recalled.windows, self._clock())
                    keeper.recalled = True

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        save_at = loop.time() + self._save_seconds()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._look.wait()
            self._look.clear()
            self._board.look_around(self._clock())
            if self._keeper is None:
                continue
            if not self._keeper.recalled:
                await self.recall()
                continue
            await self._look_for_windows(self._keeper)
            whole = loop.time() >= save_at
            # While there is a problem only another try can tell that it is over.
            if whole or self._keeper.has_waiting or self._keeper.problem:
                await self._save(self._keeper, whole=whole)
            if whole:
                save_at = loop.time() + self._save_seconds()

    def close(self) -> None:
        """Writes what is known; a store that hangs is not waited for long."""
        keeper = self._keeper
        if keeper is None or not keeper.recalled:
            return
        tracks = {service: self._memory_of(service) for service in self._board.snapshot.services}
        last = threading.Thread(target=lambda: keeper.save(tracks), name="health-save", daemon=True)
        last.start()
        last.join(CLOSE_PATIENCE_SECONDS)

    async def _look_for_windows(self, keeper: Keeper) -> None:
        windows = await self._in_thread(keeper.look)
        if windows is not None:
            self._board.hold(windows, self._clock())

    async def _save(self, keeper: Keeper, *, whole: bool) -> None:
        tracks = {}
        for number, service in enumerate(self._board.snapshot.services if whole else ()):
            tracks[service] = self._memory_of(service)
            if number % CHUNK == CHUNK - 1:
                await asyncio.sleep(0)
        await self._in_thread(lambda: keeper.save(tracks))

    async def _in_thread(self, work: Callable[[], T]) -> T | None:
        assert self._keeper is not None
        try:
            return await self._threads.call("store", work, Attempt())
        except StillHanging as error:
            self._keeper.problem = f"the state database hangs: {error}"
        except Exception as error:
            # The history is worth less than the checks; what is wrong with it is shown, not raised.
            log.exception("the history of health could not be kept")
            self._keeper.problem = f"the history could not be kept ({type(error).__name__})"
        return None

    def _restore(self, tracks: Mapping[str, Any]) -> None:
        self._board.restore(tracks)
        for service, (data, _transitions) in tracks.items():
            if beat := data.get("beat"):
                self._beats.restore(service, beat)

    def _memory_of(self, service: str) -> dict[str, Any]:
        beat = self._beats.to_json(service)
        return {**self._board.memory(service), **({"beat": beat} if beat else {})}

    def _save_seconds(self) -> float:
        return SAVE_SECONDS + SAVE_SECONDS_PER_SERVICE * len(self._board.snapshot.services)
