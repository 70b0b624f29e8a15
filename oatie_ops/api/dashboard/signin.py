"""Signing in to the dashboard: with a token, or with a link that the owner asked for on the host."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from oatie_ops.api import models
from oatie_ops.api.auth import address_of, cookie_name, require_csrf, session_of, token_named
from oatie_ops.api.context import Deed, OpsContext, context_of
from oatie_ops.api.dashboard.forms import fields
from oatie_ops.api.dashboard.layout import PAGE_HEADERS, layout
from oatie_ops.api.described import described, refused
from oatie_ops.api.problems import NOTES, ApiError
from oatie_ops.api.routing import APIRouter, Query
from oatie_ops.api.sessions import CODE_SECONDS, LIFE_SECONDS
from oatie_ops.api.shield import TRUSTED
from oatie_ops.api.tokens import Scope

HOME = "/health/dashboard/html"
LOGIN = "/health/dashboard/login"
MAX_CODE = 200

SIGN_IN_PAGE = {
    "description": "The page to sign in on, with the reason.",
    "content": {"text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"}},
}

router = APIRouter(tags=["dashboard"])


@router.post(
    "/health/dashboard/links",
    summary="A link that signs one browser in; only on the owner's Unix socket (`oatie dashboard`).",
    status_code=201,
    responses=described(models.Link, 201, problems=(403, 409, 421, 422)),
)
async def link(
    request: Request,
    scope: Annotated[models.ScopeWord, Query(description="What the browser may do.")] = "operate",
) -> Response:
    context = context_of(request)
    if not request.scope.get(TRUSTED):
        raise ApiError(
            403,
            "only the owner may make such a link",
            why="it signs in without a token",
            fix="`oatie dashboard` on the host itself, or sign in with a token",
        )
    url = (context.view.status().get("ops") or {}).get("url")
    if not url:
        raise ApiError(
            409,
            "the ops API does not listen",
            why="there is nothing that a browser could open",
            fix="set ops.listen in oatie.toml; `oatie logs` tells why it does not",
        )
    code = context.sessions.make_code("owner", Scope[scope.upper()])
    context.audit(Deed("owner", "control socket", "sign-in link", scope, "made"))
    body = {"url": f"{url}{LOGIN}?code={quote(code)}", "expires_seconds": CODE_SECONDS, "scope": scope}
    return JSONResponse(body, 201)


@router.get(
    LOGIN,
    summary="The page to sign in on.",
    response_class=HTMLResponse,
    responses=refused(403, 421, 422),
)
async def login_page(
    request: Request,
    code: Annotated[str, Query(max_length=MAX_CODE, description="Of a one-time link.")] = "",
) -> Response:
    return sign_in_page(request, code)


@router.post(
    LOGIN,
    summary="Sign in: a form with `token`, or with the `code` of a link; answers with a session cookie.",
    status_code=303,
    response_class=RedirectResponse,
    responses={
        303: {"description": "Signed in; the dashboard is next."},
        **dict.fromkeys((401, 429), SIGN_IN_PAGE),
        **refused(403, 413, 415, 421, 422),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "properties": {"token": {"type": "string"}, "code": {"type": "string"}},
                    },
                    "example": {"token": "oatie_…"},
                }
            },
        }
    },
)
async def sign_in(request: Request) -> Response:
    context, address = context_of(request), address_of(request)
    form = await fields(request)
    try:
        session_id, actor, scope = await _opened(context, form, address)
    except ApiError as error:
        if error.status not in (401, 429):
            raise
        request.scope[NOTES]["why"] = f"{error.what}: {error.why}"
        return sign_in_page(request, "", problem=_told(error), status=error.status, headers=error.headers)
    context.audit(Deed(actor, address, "sign in", "dashboard", "done", f"scope {scope.word}"))
    answer = RedirectResponse(HOME, 303)
    answer.set_cookie(
        cookie_name(request.scope),
        session_id,
        max_age=int(LIFE_SECONDS),
        secure=request.scope.get("scheme") == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


@router.post(
    "/health/dashboard/logout",
    summary="Sign out: a form with `csrf`.",
    status_code=303,
    response_class=RedirectResponse,
    responses={303: {"description": "Signed out."}, **refused(401, 403, 413, 415, 421, 422)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {"type": "object", "properties": {"csrf": {"type": "string"}}},
                    "example": {"csrf": "of the page"},
                }
            },
        },
        "security": [{"Session": []}],
    },
)
async def sign_out(request: Request) -> Response:
    context, session, form = context_of(request), await session_of(request), await fields(request)
    if session is None:
        raise ApiError(401, "you are not signed in", why="there is no session, or it has ended")
    require_csrf(session, form.get("csrf", ""))
    context.sessions.end(request.cookies[cookie_name(request.scope)])
    context.audit(Deed(session.actor, address_of(request), "sign out", "dashboard", "done"))
    answer = RedirectResponse(HOME, 303)
    secure = request.scope.get("scheme") == "https"  # without it, a browser does not touch a __Host- cookie
    answer.delete_cookie(cookie_name(request.scope), secure=secure, httponly=True, samesite="strict")
    return answer


async def _opened(context: OpsContext, form: dict[str, str], address: str) -> tuple[str, str, Scope]:
    if code := form.get("code", "")[:MAX_CODE]:
        found = context.sessions.redeem(code)
        if found is None:
            raise ApiError(
                401,
                "this link does not sign in any more",
                why="it was used already, or is older than two minutes",
                fix="make a new one on the host with `oatie dashboard`",
            )
        return found[0], found[1].actor, found[1].scope
    token = await token_named(context, form.get("token", "").strip(), address)
    actor = f"token {token.label}"
    session_id, _ = context.sessions.begin(actor, token.scope, token.digest)
    return session_id, actor, token.scope


def sign_in_page(
    request: Request,
    code: str = "",
    *,
    problem: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    app = context_of(request).view.settings.app.name
    html = layout("login", f"Sign in · {app}", {"app": app, "code": code, "problem": problem})
    kept = {key: value for key, value in (headers or {}).items() if key == "Retry-After"}
    return HTMLResponse(html, status, {**PAGE_HEADERS, **kept})


def _told(error: ApiError) -> str:
    return f"{error.what}: {error.why}. {error.fix}" if error.fix else f"{error.what}: {error.why}"
