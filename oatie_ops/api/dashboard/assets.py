"""Style, scripts and icon, as files of this package: read when asked for, kept by the browser for ever.

Their addresses hold the beginning of their SHA-256, so a new version of oatie has new addresses.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from functools import lru_cache
from importlib.resources import files
from typing import Annotated

from starlette.requests import Request
from starlette.responses import Response

from oatie_ops.api.described import refused
from oatie_ops.api.problems import NotFound
from oatie_ops.api.routing import APIRouter, Path

FOLDER = "static"
PREFIX = "/health/dashboard/assets"
TYPES = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "uplot.css": "text/css; charset=utf-8",
    "uplot.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HASH_DIGITS = 12

router = APIRouter(tags=["dashboard"])


@lru_cache
def url(name: str) -> str:
    return f"{PREFIX}/{hashlib.sha256(read(name)).hexdigest()[:HASH_DIGITS]}/{name}"


def read(name: str) -> bytes:
    return files(__package__).joinpath(FOLDER, name).read_bytes()


@router.get(
    PREFIX + "/{digest}/{name}",
    summary="Style, scripts and icon of the dashboard; all of them come from here.",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": {"text/css": {"example": "body { margin: 0 }"}}},
        **refused(403, 404, 421, 422),
    },
)
async def asset(
    request: Request,
    digest: Annotated[str, Path(max_length=64, description="Of the version of the file.")],
    name: Annotated[str, Path(max_length=64, examples=["app.css"])],
) -> Response:
    if name not in TYPES:
        raise NotFound("there is no such file")
    body = await asyncio.to_thread(read, name)
    current = hashlib.sha256(body).hexdigest()[:HASH_DIGITS] == digest
    headers = {
        # Under an old address there is the new file; nobody may keep that.
        "Cache-Control": "public, max-age=31536000, immutable" if current else "no-store",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = await asyncio.to_thread(_gzip, body)
        headers["Content-Encoding"] = "gzip"
    return Response(body, 200, headers, TYPES[name])


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()
