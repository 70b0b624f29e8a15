"""Who may do what. The owner's Unix socket may everything. On the network, changing something needs a token
or a session with the scope ``operate``; seeing details needs ``read``, which everybody on this machine has
while the ops API listens on loopback alone.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Any

from starlette.requests import Request

from oatie_ops.api.context import OpsContext, context_of
from oatie_ops.api.origins import SAFE_METHODS
from oatie_ops.api.problems import NOTES, ApiError
from oatie_ops.api.routing import Depends
from oatie_ops.api.sessions import Session, same_secret
from oatie_ops.api.shield import TRUSTED
from oatie_ops.api.shield import Scope as ConnectionScope
from oatie_ops.api.tokens import MAX_TOKEN_CHARACTERS, Scope, Token, match
from oatie_ops.api.visible import visible
from oatie_ops.config.address import is_loopback

COOKIE = "oatie_session"
CSRF_HEADER = "x-oatie-csrf"

# What the description tells of the two.
TOKEN_WORDS = "A token of `oatie token create NAME`."
COOKIE_WORDS = (
    f"Of the dashboard's sign-in; its name ends in the port (`{COOKIE}_8000`). What changes something must "
    f"bring the page's CSRF token in `{CSRF_HEADER}`."
)


@dataclass(frozen=True)
class Caller:
    """``origin``: where the request came from, for the audit. ``session`` of somebody at the dashboard."""

    actor: str
    origin: str
    scope: Scope = Scope.OPERATE
    session: Session | None = None


async def operator(request: Request) -> Caller:
    """May change things. Raises `ApiError` 401, 403, 429."""
    return await _require(request, Scope.OPERATE)


async def reader(request: Request) -> Caller:
    """May see details. Raises `ApiError` 401, 403, 429."""
    return await _require(request, Scope.READ)


Operator = Annotated[Caller, Depends(operator)]
Reader = Annotated[Caller, Depends(reader)]
READER = Depends(reader)


def seen(request: Request, data: Any) -> Any:
    """``data`` as far as the caller, whom `reader` or `operator` has let in, may see it."""
    caller = request.scope[NOTES]["caller"]
    return visible(data, caller.scope)


async def identify(request: Request) -> Caller:
    """Whoever it is, for pages that show something to everybody. A wrong token is still an error."""
    return await _identify(request, _token_sent(request))


def _token_sent(request: Request) -> str | None:
    """Raises `ApiError` 400 for two of them: of two programs, each could believe another one."""
    if len(request.headers.getlist("authorization")) > 1:
        raise ApiError(400, "who is asking?", why="the request has more than one Authorization header")
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" and text else None


def cookie_name(scope: ConnectionScope) -> str:
    """Cookies do not know ports: two ops APIs on one host would sign each other's people out."""
    port = (scope.get("server") or ("", None))[1]
    name = f"{COOKIE}_{port}" if port else COOKIE
    return f"__Host-{name}" if scope.get("scheme") == "https" else name


def is_local_reader(request: Request) -> bool:
    """Loopback alone can be reached, and no proxy passes on what others ask."""
    ops = context_of(request).view.settings.ops
    host = ops.listen.rpartition(":")[0].strip("[]")
    if ops.read_needs_token or not is_loopback(host):
        return False
    return not any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))


async def _require(request: Request, needed: Scope) -> Caller:
    token = _token_sent(request)
    caller = await _identify(request, token)
    if caller.scope >= needed:
        return caller
    if caller.scope is Scope.NOTHING or not (token or caller.session):
        tokens = await asyncio.to_thread(context_of(request).tokens.read)
        raise _unauthorized(sent=token is not None, any_set=bool(tokens))
    raise ApiError(
        403,
        f"this needs the scope {needed.word}",
        why=f"{caller.actor} has the scope {caller.scope.word} alone",
        fix="use a token made with `oatie token create NAME --scope operate`",
        headers={
            "WWW-Authenticate": f'Bearer realm="oatie", error="insufficient_scope", scope="{needed.word}"'
        },
    )


async def _identify(request: Request, token: str | None) -> Caller:
    context = context_of(request)
    address = address_of(request)
    if request.scope.get(TRUSTED):
        caller = Caller("owner", "control socket")
    elif token is not None:
        caller = await _by_token(context, token, address)
    elif (session := await session_of(request)) is not None:
        _check_csrf(request, session)
        caller = Caller(session.actor, f"{address} (dashboard)", session.scope, session)
    else:
        open_to_all = context.tells_everybody or is_local_reader(request)
        scope = Scope.READ if open_to_all else Scope.NOTHING
        caller = Caller("anonymous", address, scope)
    request.scope.setdefault(NOTES, {})["caller"] = caller
    return caller


def address_of(request: Request) -> str:
    return request.client.host if request.client else "unknown address"


async def token_named(context: OpsContext, text: str, address: str) -> Token:
    """The token that this is. Raises `ApiError` 401, 429; wrong ones count towards a lock-out."""
    left = context.lockout.seconds_left(address)
    # An address of another machine tells who it is; on loopback all users of this one have the same, and
    # none of them must be able to shut the others' right tokens out.
    if left > 0 and not is_loopback(address):
        raise _locked_out(left)
    # Read each time: a token can be exchanged without a restart.
    tokens = await asyncio.to_thread(context.tokens.read)
    # What is longer cannot be one of ours; hashing it would be work for nothing.
    known = match(text, tokens, time.time()) if len(text) <= MAX_TOKEN_CHARACTERS else None
    if known is not None:
        return known
    if left > 0:
        raise _locked_out(left)
    context.lockout.failed(address)
    raise _unauthorized(sent=True, any_set=bool(tokens))


def _locked_out(seconds: float) -> ApiError:
    return ApiError(
        429,
        "too many wrong tokens",
        why="several wrong tokens came from this address",
        fix=f"wait {ceil(seconds)} s, or use the `oatie` command on the host itself",
        headers={"Retry-After": str(ceil(seconds))},
    )


async def session_of(request: Request) -> Session | None:
    """The open session of the cookie; None as well where the token that opened it was revoked since."""
    context = context_of(request)
    session_id = request.cookies.get(cookie_name(request.scope), "")
    session = context.sessions.find(session_id) if session_id else None
    if session is None or not session.digest:
        return session
    tokens = await asyncio.to_thread(context.tokens.read)
    now = time.time()
    valid = any(
        token.digest == session.digest and (token.expires_at is None or token.expires_at > now)
        for token in tokens
    )
    if not valid:
        context.sessions.end(session_id)
        return None
    return session


def _check_csrf(request: Request, session: Session) -> None:
    if request.method not in SAFE_METHODS:
        require_csrf(session, request.headers.get(CSRF_HEADER, ""))


def require_csrf(session: Session, given: str) -> None:
    if not same_secret(given, session.csrf):
        raise ApiError(
            403,
            "the page that sent this could not be verified",
            why="the CSRF token of this session is missing or wrong",
            fix="load the dashboard again and repeat it there",
        )


async def _by_token(context: OpsContext, text: str, address: str) -> Caller:
    token = await token_named(context, text, address)
    return Caller(f"token {token.label}", address, token.scope)


def _unauthorized(*, sent: bool, any_set: bool) -> ApiError:
    if not any_set:
        why = "no token is set up"
        fix = (
            "on the host: `oatie token create NAME` makes one (in the file of ops.token_file), "
            "`oatie dashboard` signs a browser in, and every `oatie` command works without"
        )
    else:
        why = "the token is not known" if sent else "no token was sent"
        fix = "send `Authorization: Bearer TOKEN`, or use the `oatie` command on the host itself"
    challenge = 'Bearer realm="oatie", error="invalid_token"' if sent else 'Bearer realm="oatie"'
    return ApiError(401, "this needs a token", why=why, fix=fix, headers={"WWW-Authenticate": challenge})
