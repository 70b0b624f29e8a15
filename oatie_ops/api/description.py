"""The OpenAPI description of the ops API: the file that `oatie_ops.api.describe` made of the routes."""

from __future__ import annotations

import asyncio
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from oatie_ops.api.routing import APIRouter

FILE = files("oatie_ops.api").joinpath("openapi.json")

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False)
async def openapi(_request: Request) -> Response:
    return Response(await text(), media_type="application/json")


async def text() -> bytes:
    """The description as JSON. Read for each who asks: it is wanted once a month, and large."""
    return await asyncio.to_thread(FILE.read_bytes)
