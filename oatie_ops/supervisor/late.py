"""An ASGI application that is not there yet: the control socket is open before the ops API is imported."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import JSONResponse

PATIENCE_SECONDS = 8.0


class LateApplication:
    """Who asks early waits, which takes a fraction of a second; the application is set once."""

    def __init__(self) -> None:
        self._application: Any = None
        self._there = asyncio.Event()

    def arrive(self, application: Any) -> None:
        self._application = application
        self._there.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.wait_for(self._there.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            await self._refuse(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    async def _refuse(self, scope: Any, receive: Any, send: Any) -> None:
        error = {
            "what": "the ops API is still starting",
            "why": f"it was not there after {PATIENCE_SECONDS:g} s",
            "fix": "ask again in a moment; `oatie logs` tells if it failed",
            "data": {"retry_after_seconds": 1},
        }
        answer = JSONResponse({"error": error}, status_code=503, headers={"Retry-After": "1"})
        await answer(scope, receive, send)
