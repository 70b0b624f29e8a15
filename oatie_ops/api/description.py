"""The OpenAPI description of the ops API, made in a process of its own.

Making it takes a second and leaves many megabytes behind, for something that is asked for once a month. Of
the text only a compressed copy stays here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import zlib

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

DEADLINE_SECONDS = 60.0
PROGRAM = "from oatie_ops.api.description import main; main()"

log = logging.getLogger(__name__)

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


def main() -> None:
    """In the process of its own: writes it to stdout."""
    from oatie_ops.api.app import bare_app

    sys.stdout.write(json.dumps(bare_app().openapi(), separators=(",", ":")))


def _packed(app: FastAPI) -> bytes:
    return zlib.compress(_made_elsewhere() or json.dumps(app.openapi(), separators=(",", ":")).encode(), 9)


def _made_elsewhere() -> bytes:
    """Empty where that did not work, which costs nothing but memory."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path}
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("the description of the API is made in this process: %s", error)
        return b""
    return done.stdout
