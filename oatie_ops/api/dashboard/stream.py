"""The dashboard's server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

``frame``: what changed, its id is the version. ``tick``: nothing did. A reader that is slow gets the newest
state once it has read the one before, never a queue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response

from oatie_ops.api.dashboard.hub import Hub
from oatie_ops.api.tokens import Scope

MAX_STREAMS = 400
# How often it is asked again whether the reader may still see this.
CHECK_SECONDS = 15.0
RETRY_MILLISECONDS = 2000
SILENCE_TICKS = 2

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response):
    """``allowed`` tells, from time to time, whether it may go on."""

    def __init__(self, hub: Hub, scope: Scope, since: int, allowed: Callable[[], Awaitable[bool]]) -> None:
        super().__init__()
        self._hub = hub
        self._scope = scope
        self._since = since
        self._allowed = allowed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        gone = asyncio.ensure_future(_gone(receive))
        try:
            with self._hub.watching():
                await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                await self._tell(send, gone)
        finally:
            gone.cancel()
        if not gone.done() or gone.cancelled():
            await send({"type": "http.response.body", "body": b""})

    async def _tell(self, send: Any, gone: asyncio.Future[None]) -> None:
        hub, at, silent, checked = self._hub, self._since, 0, time.monotonic()
        body = f"retry: {RETRY_MILLISECONDS}\n\n".encode()
        while not gone.done():
            edition = await hub.newest(self._scope)
            if hub.version != at:
                at, silent = hub.version, 0
                body += _event("frame", edition.payload(self._since, at), at)
                self._since = at
            elif silent >= SILENCE_TICKS:
                silent = 0
                body += _event("tick", hub.moments(self._scope))
            if body:
                await send({"type": "http.response.body", "body": body, "more_body": True})
                body = b""
            silent += 1
            told = asyncio.ensure_future(hub.told())
            await asyncio.wait({told, gone}, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            if time.monotonic() - checked > CHECK_SECONDS:
                checked = time.monotonic()
                if not await self._allowed():
                    return


def _event(name: str, data: bytes, id_: int | None = None) -> bytes:
    head = f"event: {name}\n" if id_ is None else f"event: {name}\nid: {id_}\n"
    return head.encode() + b"data: " + data + b"\n\n"


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
