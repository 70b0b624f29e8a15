"""Pressing a button without scripts: a page that asks for confirmation and a reason, and what it sends.

It goes through the very routes that programs use, so there is one way in which something is done.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from oatie_ops.api import degradation, health, recovery
from oatie_ops.api.auth import Caller, address_of, identify, require_csrf, session_of
from oatie_ops.api.context import context_of
from oatie_ops.api.dashboard.forms import fields
from oatie_ops.api.dashboard.layout import PAGE_HEADERS, layout
from oatie_ops.api.dashboard.pages import hub_of
from oatie_ops.api.dashboard.sections import EFFECTS, LABELS
from oatie_ops.api.dashboard.signin import HOME
from oatie_ops.api.described import GUARDED, refused
from oatie_ops.api.problems import NOTES, ApiError, NotFound
from oatie_ops.api.routing import APIRouter, Query
from oatie_ops.api.tokens import Scope
from oatie_ops.errors import OatieError

Action = Literal["restart", "recover", "degrade", "restore"]
DURATIONS = ("15m", "1h", "4h", "permanent")

router = APIRouter(tags=["dashboard"])


@router.get(
    "/health/dashboard/act",
    summary="The page that asks for confirmation and a reason.",
    response_class=HTMLResponse,
    responses=refused(404, 422, *GUARDED),
)
async def confirm(
    request: Request,
    service: Annotated[str, Query(max_length=200, description="A service.", examples=["app"])],
    action: Annotated[Action, Query(description="What to do.")],
) -> Response:
    caller = await identify(request)
    if caller.scope is Scope.NOTHING:
        return _page(request, service, action, caller)
    return _page(request, await _known(request, service), action, caller)


@router.post(
    "/health/dashboard/act",
    summary="Do it: a form with `service`, `action`, `reason` and `csrf`; for pages without scripts.",
    status_code=303,
    response_class=RedirectResponse,
    responses={303: {"description": "Begun; the dashboard shows how it goes."}, **refused(401, 403, 404, 409)}
    | refused(413, 415, 421, 422, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "service": {"type": "string"},
                            "action": {"type": "string", "enum": list(LABELS)},
                            "reason": {"type": "string"},
                            "duration": {"type": "string", "enum": list(DURATIONS)},
                            "csrf": {"type": "string"},
                        },
                    },
                    "example": {"service": "app", "action": "restart", "reason": "leaks", "csrf": "…"},
                }
            },
        },
        "security": [{"Session": []}],
    },
)
async def act(request: Request) -> Response:
    session, form = await session_of(request), await fields(request)
    if session is None:
        raise ApiError(401, "you are not signed in", why="there is no session, or it has ended", fix=_SIGN_IN)
    caller = Caller(session.actor, f"{address_of(request)} (dashboard)", session.scope, session)
    request.scope[NOTES]["caller"] = caller
    require_csrf(session, form.get("csrf", ""))
    if session.scope is not Scope.OPERATE:
        raise ApiError(403, "this session may only look", why="it has the scope read", fix=_SIGN_IN)
    service, action, reason = form.get("service", ""), form.get("action", ""), form.get("reason", "").strip()
    duration = form.get("duration", "1h")
    request.scope[NOTES]["reason"] = reason
    if action not in LABELS or len(reason) > health.MAX_REASON_CHARACTERS or duration not in DURATIONS:
        raise ApiError(422, "the form is not valid", why="there is no such action, or the reason is too long")
    if not reason:
        raise ApiError(422, "a reason is missing", why="whoever looks next wants to know why")
    await _known(request, service)
    try:
        await _do(request, caller, service, action, reason=reason, duration=duration)
    except OatieError as error:
        request.scope[NOTES]["why"] = f"{error.what}: {error.why}"
        status = error.status if isinstance(error, ApiError) else 409
        return _page(request, service, action, caller, problem=_told(error), status=status)
    hub_of(request).look_soon()
    return RedirectResponse(f"{HOME}#{quote('operations')}", 303)


_SIGN_IN = "sign in with a token that may operate, or with the link of `oatie dashboard`"


async def _do(
    request: Request, caller: Caller, service: str, action: str, *, reason: str, duration: str
) -> None:
    if action == "restart":
        await health.restart(request, service, caller, reason)
    elif action == "recover":
        await recovery.recover(request, service, caller, reason)
    elif action == "degrade":
        await degradation.degrade(request, service, caller, reason=reason, duration=duration)
    else:
        await degradation.restore(request, service, caller, reason=reason)


async def _known(request: Request, service: str) -> str:
    services = context_of(request).snapshot().services
    if service not in services:
        raise NotFound("there is no such service", fix=f"there are: {', '.join(services)}")
    return service


def _page(
    request: Request, service: str, action: str, caller: Caller, *, problem: str = "", status: int = 200
) -> Response:
    session, app = caller.session, context_of(request).view.settings.app.name
    may = session is not None and session.scope is Scope.OPERATE
    values: dict[str, Any] = {
        "app": app,
        "title": f"{LABELS[action]} {service}",
        "effect": EFFECTS[action],
        "impossible": problem,
        "allowed": may,
        "sign_in": not may,
        "lasting": action == "degrade",
        "service": service,
        "action": action,
        "csrf": session.csrf if session else "",
    }
    html = layout("act", f"{values['title']} · {app}", values)
    return HTMLResponse(html, status, PAGE_HEADERS)


def _told(error: OatieError) -> str:
    text = f"{error.what}: {error.why}" if error.why else error.what
    return f"{text}. {error.fix}" if error.fix else text
