"""A uvicorn server inside the supervisor's own loop: no signal handlers, no ten ticks a second."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from uvicorn.config import Config
from uvicorn.server import Server

# uvicorn renews its Date header when its tick counter is a multiple of this.
TICKS_PER_SECOND = 10


class EmbeddedServer(Server):
    def __init__(self, application: Any, sock: socket.socket, *, graceful_seconds: int = 1) -> None:
        config = Config(
            application,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=graceful_seconds,
            limit_concurrency=200,
        )
        super().__init__(config)
        self._sock = sock

    async def run_until_told(self) -> None:
        await self.serve(sockets=[self._sock])

    async def main_loop(self) -> None:
        while not await self.on_tick(counter=TICKS_PER_SECOND):
            await asyncio.sleep(1.0)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
