"""Many who look at one dashboard: open event streams, and reads at a steady rate. Bounded; loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

PATHS = ("/health", "/health/ready", "/health/services", "/health/dashboard", "/health/live")


@dataclass
class Stream:
    """``frames`` and ``ticks`` that came; the connection stays open until the crowd goes."""

    frames: int = 0
    ticks: int = 0
    ended: bool = False


@dataclass
class Crowd:
    port: int
    streams: list[Stream] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def watching(self, count: int) -> AsyncIterator[None]:
        """``count`` streams; returns once each has its first frame."""
        tasks = [asyncio.ensure_future(self._watch(stream)) for stream in self._new(count)]
        try:
            while not all(stream.frames for stream in self.streams):
                await asyncio.sleep(0.05)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def read(self, per_second: int, seconds: float, clients: int = 10) -> float:
        """Reads with keep-alive at this rate, or as fast as it goes; the rate that was reached."""
        began = time.monotonic()
        due = [began + index / per_second for index in range(int(per_second * seconds))]
        await asyncio.gather(*(self._read(due[number::clients]) for number in range(clients)))
        return len(due) / (time.monotonic() - began)

    def _new(self, count: int) -> list[Stream]:
        self.streams = [Stream() for _ in range(count)]
        return self.streams

    async def _watch(self, stream: Stream) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
        try:
            writer.write(b"GET /health/dashboard/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await writer.drain()
            while line := await reader.readline():
                stream.frames += line == b"event: frame\n"
                stream.ticks += line == b"event: tick\n"
            stream.ended = True
        finally:
            writer.close()

    async def _read(self, due: list[float]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
        for index, at in enumerate(due):
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            asked = time.monotonic()
            writer.write(f"GET {PATHS[index % len(PATHS)]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            self.codes[int(head.split(b" ", 2)[1])] += 1
            self.seconds.append(time.monotonic() - asked)
        writer.close()
