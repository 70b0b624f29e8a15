"""The dashboard over HTTP: the page, its data, and what keeps the page fresh."""

from __future__ import annotations

import json
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from oatie_ops._version import __version__
from oatie_ops.api import models
from oatie_ops.api.auth import Caller, Reader, identify
from oatie_ops.api.context import context_of
from oatie_ops.api.dashboard import frame, words
from oatie_ops.api.dashboard import tiles as tiling
from oatie_ops.api.dashboard.assets import url
from oatie_ops.api.dashboard.hub import Edition, Hub
from oatie_ops.api.dashboard.layout import PAGE_HEADERS, layout
from oatie_ops.api.dashboard.sections import EFFECTS, row_id, title
from oatie_ops.api.dashboard.signin import SIGN_IN_PAGE, sign_in_page
from oatie_ops.api.dashboard.stream import MAX_STREAMS, EventStream
from oatie_ops.api.described import GUARDED, OPEN_ON_LOOPBACK, described, refused
from oatie_ops.api.pieces import json_of
from oatie_ops.api.problems import ApiError
from oatie_ops.api.routing import APIRouter, Query
from oatie_ops.api.tokens import Scope
from oatie_ops.api.visible import visible
from oatie_ops.health import report

REFRESH_SECONDS = 30
MAX_VERSION = 2**53

Since = Annotated[
    int, Query(ge=0, le=MAX_VERSION, description="The version that is known; 0: everything is told.")
]

router = APIRouter(tags=["dashboard"])


@router.get(
    "/health/dashboard",
    summary="Everything that the dashboard shows; 200 whatever the health.",
    responses=described(models.Dashboard, 200, problems=GUARDED),
    openapi_extra=OPEN_ON_LOOPBACK,
)
async def data(request: Request, caller: Reader) -> Response:
    edition = await hub_of(request).edition(caller.scope)
    return Response(edition.json(), media_type="application/json")


@router.get(
    "/health/dashboard/brief",
    summary="Health and what runs, without what is read from the disk: what `oatie health` asks for.",
    responses=described(models.Running, 200, problems=GUARDED),
    openapi_extra=OPEN_ON_LOOPBACK,
)
async def brief(request: Request, caller: Reader) -> Response:
    context = context_of(request)
    snapshot, now = context.snapshot(), context.clock()
    head = frame.brief(snapshot, now, __version__, context.view.status())
    services = ((name, visible(each, caller.scope)) for name, each in report.each_service(snapshot, now))
    body = await json_of(visible(head, caller.scope), "services", services)
    return Response(body, media_type="application/json")


@router.get(
    "/health/dashboard/html",
    summary="The dashboard for a browser; complete without scripts, and renews itself.",
    response_class=HTMLResponse,
    responses={**refused(*GUARDED), 401: SIGN_IN_PAGE},
    openapi_extra={"security": [{"HTTPBearer": []}, {"Session": []}, {}]},
)
async def html(request: Request) -> Response:
    caller = await identify(request)
    if caller.scope is Scope.NOTHING:
        # A person, who can do more with the way in than with a problem document.
        return sign_in_page(
            request, problem="Where others can reach it, the dashboard needs a session.", status=401
        )
    hub = hub_of(request)
    edition = await hub.edition(caller.scope)
    shown = page(edition, hub.version, caller)
    text = layout("dashboard", title(edition.data), shown, script="app.js")
    return HTMLResponse(words.aged(text, shown["now"]), headers=PAGE_HEADERS)


@router.get(
    "/health/dashboard/events",
    summary="What changes on the dashboard, as server-sent events; `frame` and `tick`.",
    response_class=Response,
    responses={
        200: {
            "description": "A stream without end.",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": 'event: tick\ndata: {"now": 1767323058.0, "taken": 1767323057.6}\n\n',
                }
            },
        },
        **refused(422, 503, *GUARDED),
    },
    openapi_extra=OPEN_ON_LOOPBACK,
)
async def events(request: Request, caller: Reader, since: Since = 0) -> Response:
    hub = hub_of(request)
    if hub.streams >= MAX_STREAMS:
        raise ApiError(
            503,
            "too many dashboards are open",
            why=f"{hub.streams} streams are",
            fix="ask /health/dashboard/frame every few seconds instead",
            headers={"Retry-After": "30"},
        )

    async def allowed() -> bool:
        try:
            return (await identify(request)).scope >= caller.scope
        except ApiError:
            return False

    last = request.headers.get("last-event-id", "")
    known = int(last) if last.isdecimal() and len(last) <= 16 else since
    return EventStream(hub, caller.scope, known, allowed)


@router.get(
    "/health/dashboard/frame",
    summary="The same as one `frame` event, for who cannot keep a stream open.",
    responses=described(models.FrameChange, 200, problems=(422, *GUARDED)),
    openapi_extra=OPEN_ON_LOOPBACK,
)
async def change(request: Request, caller: Reader, since: Since = 0) -> Response:
    hub = hub_of(request)
    edition = await hub.edition(caller.scope)
    return Response(edition.payload(since, hub.version), media_type="application/json")


def hub_of(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def page(edition: Edition, version: int, caller: Caller) -> dict[str, Any]:
    """The values of the template."""
    data, sections = edition.data, edition.html
    tiles = {tile.id: tile for tile in tiling.tiles(data)}

    def shown(ids: tuple[str, ...]) -> list[dict[str, Any]]:
        return [
            {
                "id": id_,
                "title": tiles[id_].title,
                "html": tiles[id_].html,
                "svg": tiles[id_].svg,
                "span": tiles[id_].span,
            }
            for id_ in ids
        ]

    session = caller.session
    return {
        "app": str(data["app"].get("name") or "application"),
        "actor": session.actor if session else "",
        "csrf": session.csrf if session and session.scope is Scope.OPERATE else "",
        "refresh": str(REFRESH_SECONDS),
        "version": version,
        "oatie_version": data["version"],
        "uplot": url("uplot.js"),
        "effects": json.dumps(EFFECTS),
        "now": words.epoch(data["now"]),
        "taken": words.epoch(data["taken_at"]),
        "taken_at": words.clock(words.epoch(data["taken_at"]), words.epoch(data["now"])),
        "rows": [
            {"id": (id_ := row_id(data, name)), "name": name, "html": sections[id_]} for name in data["order"]
        ],
        "app_tiles": shown(("rate", "errors", "latency")),
        "resource_tiles": shown(("cpu", "memory", "disk", "network")),
        **{
            key: sections[key]
            for key in (
                "banner",
                "operations",
                "events",
                "releases",
                "startup",
                "scaling",
                "workers",
                "release",
            )
        },
    }
