"""The OpenAPI description of the ops API, made in a process of its own.

Making it takes a second and leaves many megabytes behind, for something that is asked for once a month. Of
the text only a compressed copy stays here.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import zlib

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from oatie_ops.api.problems import ApiError
from oatie_ops.api.routing import APIRouter

DEADLINE_SECONDS = 60.0
MODULE = "oatie_ops.api.describe"

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    return Response(await text(request.app), media_type="application/json")


async def text(app: Starlette) -> bytes:
    """The description as JSON. However many ask at once, it is made once. Raises `ApiError`."""
    made: asyncio.Future[bytes] | None = getattr(app.state, "description", None)
    if made is None or (made.done() and (made.cancelled() or made.exception() is not None)):
        made = asyncio.ensure_future(asyncio.to_thread(_packed))
        app.state.description = made
    return zlib.decompress(await asyncio.shield(made))


def _packed() -> bytes:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path}
    try:
        done = subprocess.run(
            # -P: modules of the directory that we were started in are the application's
            [sys.executable, "-P", "-m", MODULE],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ApiError(
            503, "the description of the API could not be made", why=str(error), fix="ask again later"
        ) from error
    return zlib.compress(done.stdout, 9)
