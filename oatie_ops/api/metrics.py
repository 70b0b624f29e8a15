"""``/health/metrics`` for Prometheus: 200 whatever the health, for the body of a 503 is thrown away."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from oatie_ops.api.auth import READER
from oatie_ops.api.context import OpsContext, context_of
from oatie_ops.api.described import GUARDED, OPEN_ON_LOOPBACK, refused
from oatie_ops.api.routing import APIRouter
from oatie_ops.health import exposition
from oatie_ops.health.exposition import Page
from oatie_ops.health.metrics import Sources, families

# A file system that hangs must not cost the scrape: its figures are then left out.
HOST_SECONDS = 1.0
GZIP_FROM_BYTES = 8192
_GZIP_WINDOW = 31

router = APIRouter(tags=["metrics"])
log = logging.getLogger(__name__)

_EXAMPLE = """\
# HELP oatie_service_up 1 while it works (degraded included), else 0.
# TYPE oatie_service_up gauge
oatie_service_up{service="app"} 1
"""
_CONTENT = {
    media.partition(";")[0]: {"schema": {"type": "string"}, "example": _EXAMPLE}
    for media in (exposition.TEXT, exposition.OPENMETRICS)
}


@router.get(
    "/health/metrics",
    summary="Metrics for Prometheus; OpenMetrics where `Accept` asks for it.",
    response_class=Response,
    responses={200: {"content": _CONTENT, "description": "One page of metrics."}, **refused(*GUARDED)},
    dependencies=[READER],
    openapi_extra=OPEN_ON_LOOPBACK,
)
async def metrics(request: Request) -> Response:
    openmetrics = exposition.wants_openmetrics(request.headers.get("accept", ""))
    page = Page(openmetrics=openmetrics)
    body = await _text(context_of(request), page, request.app.state.hub.streams)
    headers = {"Vary": "Accept, Accept-Encoding"}
    if len(body) >= GZIP_FROM_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        body = await asyncio.to_thread(_gzip, body)
        headers["Content-Encoding"] = "gzip"
    return Response(body, 200, headers, exposition.OPENMETRICS if openmetrics else exposition.TEXT)


async def _text(context: OpsContext, page: Page, streams: int) -> bytes:
    host, of_process = await _figures(context, page)
    sources = Sources(
        snapshot=context.snapshot(),
        meter=context.meter,
        status=context.view.status(),
        traffic=context.view.traffic(),
        restarts=context.operations.ended,
        notifications=context.notifications(),
        in_flight=context.in_flight(),
        events=context.events(),
        host=host,
        streams=streams,
    )
    parts = []
    for piece in _all(context, page, sources):
        parts.append(piece.encode())
        # A thousand services make a page of many milliseconds; a health answer may come in between.
        await asyncio.sleep(0)
    return b"".join([*parts, "".join(of_process).encode(), page.end.encode()])


def _all(context: OpsContext, page: Page, sources: Sources) -> Iterator[str]:
    yield from families(page, sources)
    yield from context.requests.families(page)
    if context.recovery is not None:
        yield from context.recovery.families(page)


async def _figures(context: OpsContext, page: Page) -> tuple[dict[str, Any], list[str]]:
    """At most one reading is under way; while one hangs, there are no figures."""
    if context.reading is not None and not context.reading.done():
        return {}, []
    paths = (context.view.settings.root, context.view.paths.home)

    def read() -> tuple[dict[str, Any], list[str]]:
        from oatie_ops.health import host

        return host.figures(paths), list(host.process_families(page))

    context.reading = asyncio.ensure_future(asyncio.to_thread(read))
    try:
        return await asyncio.wait_for(asyncio.shield(context.reading), HOST_SECONDS)
    except TimeoutError:
        return {}, []
    except Exception:
        log.exception("the figures of the host could not be read")
        return {}, []


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(body) + packer.flush()
