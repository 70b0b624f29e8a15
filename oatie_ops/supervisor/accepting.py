"""Takes connections off the public listener: at most one from a loop that has just been held up.

The workers share one queue in the kernel. asyncio's own server empties it at each wake-up, so a worker whose
application blocks (sync views, heavy computing) sits on dozens of connections and serves them one after the
other while its neighbours have nothing to do. What is left in the queue is there for whoever is free.

So a connection is taken, and then the loop goes round until its request has had the chance to run. If that
held the loop up, the next one is taken by the first worker that is free. If it did not, the application gives
the loop back, and more are taken at a time, as asyncio does.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable

# A request that only moves bytes holds a loop up for less than the first; one that lets others wait for more
# than the second, which is also about what a shared processor takes from a process at a time.
SMOOTH_SECONDS = 0.001
HELD_UP_SECONDS = 0.005
# From a connection to its request's first step: its transport is made, its bytes are read, its task runs.
SETTLE_TURNS = 4
PATIENT_TURNS = 8
FASTEST_TURN = SETTLE_TURNS + 6  # 64 connections at a turn; each smooth turn doubles their number
PAUSE_SECONDS = 1.0


class Pace:
    """How many connections to take at a turn of the loop that finds some waiting."""

    def __init__(self) -> None:
        self._last = float("-inf")
        self._served = 0
        self._turns = 0
        self._held_up = 0

    def take(self, now: float, served: int, *, left: bool) -> int:
        """``now``: monotonic seconds; ``served``: requests so far; ``left``: did the last look leave some?

        0 says: not yet, look again at the next turn. Where some were left, this is the very next turn. One in
        which many requests were served is long, too, and held nobody up: it is the time for each that tells.
        """
        done = max(1, served - self._served) if left else 1
        since = (now - self._last) / done
        self._last, self._served = now, served
        if left and since >= HELD_UP_SECONDS:
            return self._after_hold_up(done)
        if self._held_up or (not left and since >= SMOOTH_SECONDS):
            self._turns = self._held_up = 0
            return 1
        if since >= SMOOTH_SECONDS:
            self._turns = min(self._turns + 1, SETTLE_TURNS)
            return done if self._turns == SETTLE_TURNS else 0
        self._turns = min(self._turns + 1, FASTEST_TURN)
        return 0 if self._turns < SETTLE_TURNS else 1 << (self._turns - SETTLE_TURNS)

    def _after_hold_up(self, done: int) -> int:
        """What is in hand comes first; where clients that stay keep the loop busy, others would starve."""
        self._held_up += 1
        return 0 if self._held_up % PATIENT_TURNS else done


class Acceptor:
    """Serves ``protocol`` on a socket that listens already, until closed. The socket is then closed, too.

    ``served`` tells how many requests were answered so far, over all connections.
    """

    def __init__(
        self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], served: Callable[[], int]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._served = served
        self._pace = Pace()
        self._left = False
        self._arriving: set[asyncio.Task[None]] = set()
        self._resume: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._loop.add_reader(listener, self._readable)

    def close(self) -> None:
        """Connections that were taken stay."""
        if self._resume is not None:
            self._resume.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _readable(self) -> None:
        number = self._pace.take(time.monotonic(), self._served(), left=self._left)
        self._left = True
        for taken in range(number):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                self._left = False  # another worker was faster, or the client has gone
                if not taken:
                    self._pace = Pace()
                return
            except OSError as error:  # no descriptor left, or it listens no more
                self._pause(error)
                return
            task = self._loop.create_task(self._serve(connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _serve(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            connection.close()  # gone before it was served

    def _pause(self, error: OSError) -> None:
        """The kernel would tell of it at every turn."""
        logging.getLogger("uvicorn.error").error("cannot take a connection: %s", error.strerror)
        self._loop.remove_reader(self._listener)
        self._resume = self._loop.call_later(
            PAUSE_SECONDS, self._loop.add_reader, self._listener, self._readable
        )
