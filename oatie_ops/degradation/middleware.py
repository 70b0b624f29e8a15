"""ASGI middleware that obeys switches: ``app = OatieMiddleware(app)``, or by ``app.add_middleware``.

`oatie start` adds it by itself to what it runs. With nothing degraded it costs a comparison and a call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from oatie_ops.degradation import reader as readers
from oatie_ops.degradation.reader import Reader
from oatie_ops.degradation.report import report_exception

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

TRY_AGAIN_LATER = 1013  # RFC 6455's registry of close codes


class OatieMiddleware:
    """In front of ``app``: answers for degraded services as declared, hands all else on, and reports what
    the application raises. ``reader`` is for tests; without it the one of this process is used.
    """

    def __init__(self, app: Application, *, reader: Reader | None = None) -> None:
        self.app = app
        self._reader = reader or readers.current()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reader = self._reader
        if reader.pulse[0] != reader.calm and await _answered(reader, scope, send):
            return
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            report_exception(error, scope)
            raise


async def _answered(reader: Reader, scope: Scope, send: Send) -> bool:
    kind = scope["type"]
    if kind not in ("http", "websocket"):
        return False
    answer = reader.answer(scope)
    if answer is None:
        return False
    status, headers, body = answer
    prefix = kind
    if kind == "websocket":
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
            return True
        prefix = "websocket.http"
    await send({"type": f"{prefix}.response.start", "status": status, "headers": headers})
    sent = b"" if scope.get("method") == "HEAD" else body
    await send({"type": f"{prefix}.response.body", "body": sent})
    return True
