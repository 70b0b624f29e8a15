"""An ASGI application that is not there yet: the control socket answers before the ops API is imported."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse


class LateApplication:
    def __init__(self) -> None:
        self.application: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.application is not None:
            await self.application(scope, receive, send)
            return
        answer = JSONResponse(
            {"error": {"what": "the ops API is still starting", "fix": "ask again in a second"}},
            status_code=503,
            headers={"Retry-After": "1"},
        )
        await answer(scope, receive, send)
