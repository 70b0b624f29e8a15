"""The thin layer between the server and the application: counts, times, and says good-bye when draining."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from oatie_ops.supervisor import stats

if TYPE_CHECKING:
    from oatie_ops.supervisor.stats import Slot

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CLOSE_HEADER = (b"connection", b"close")


class Observer:
    """ASGI middleware on the path of every request, so it is kept to what must be there.

    While `draining` is set, each response carries ``Connection: close`` (RFC 9112 §9.6), which makes a
    keep-alive client leave after an answer instead of being cut off in the middle of the next request.
    """

    def __init__(self, application: Application, slot: Slot) -> None:
        self._application = application
        self._slot = slot
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        slot = self._slot
        failed = False

        def counted(message: Message) -> Awaitable[None]:
            nonlocal failed
            if message["type"] == "http.response.start":
                failed = message["status"] >= 500
                if self.draining:
                    message = {**message, "headers": [*message.get("headers", ()), CLOSE_HEADER]}
            return send(message)

        slot[stats.IN_FLIGHT] += 1.0
        began = time.perf_counter()
        try:
            await self._application(scope, receive, counted)
        except BaseException:
            failed = True
            raise
        finally:
            slot[stats.SECONDS] += time.perf_counter() - began
            slot[stats.REQUESTS] += 1.0
            slot[stats.IN_FLIGHT] -= 1.0
            if failed:
                slot[stats.ERRORS] += 1.0
