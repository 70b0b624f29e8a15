"""The OpenAPI description of the ops API: made when somebody asks; a compressed copy stays."""

from __future__ import annotations

import asyncio
import json
import zlib

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from oatie_ops.supervisor.memory import give_back

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    return Response(await text(request.app), media_type="application/json")


async def text(app: FastAPI) -> bytes:
    """The description as JSON. However many ask at once, it is made once."""
    made: asyncio.Future[bytes] | None = getattr(app.state, "description", None)
    if made is None or (made.done() and (made.cancelled() or made.exception() is not None)):
        made = asyncio.ensure_future(asyncio.to_thread(_packed, app))
        app.state.description = made
    return zlib.decompress(await asyncio.shield(made))


def _packed(app: FastAPI) -> bytes:
    packed = zlib.compress(json.dumps(app.openapi(), separators=(",", ":")).encode(), 9)
    # The framework would keep it, ten megabytes of small objects for something that is asked for once.
    app.openapi_schema = None
    give_back()
    return packed
