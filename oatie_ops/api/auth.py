"""Who may do what: the owner's Unix socket everything; the network needs a token to change anything."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from oatie_ops.api.context import context_of
from oatie_ops.api.problems import ApiError
from oatie_ops.api.shield import TRUSTED
from oatie_ops.api.tokens import match, read_hashes

_bearer = HTTPBearer(auto_error=False, description="A token from the file of `ops.token_file`.")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


@dataclass(frozen=True)
class Caller:
    actor: str
    origin: str


async def operator(request: Request, credentials: _Credentials) -> Caller:
    """May change things. Raises `ApiError` 401."""
    if request.scope.get(TRUSTED):
        return Caller("owner", "control socket")
    return await _by_token(request, credentials)


async def reader(request: Request, credentials: _Credentials) -> None:
    """May see details: everybody on this machine, and with a token everybody who can reach us."""
    settings = context_of(request).view.settings
    if not request.scope.get(TRUSTED) and not is_loopback(settings.ops.listen):
        await _by_token(request, credentials)


Operator = Annotated[Caller, Depends(operator)]
READER = Depends(reader)


def is_loopback(listen: str) -> bool:
    """Of ``host:port``. What is not an address counts as reachable from elsewhere, but for localhost."""
    host = listen.rpartition(":")[0].strip("[]").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _by_token(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    context = context_of(request)
    # Read each time: a token can be exchanged without a restart.
    hashes = await asyncio.to_thread(read_hashes, context.token_file)
    known = match(credentials.credentials, hashes) if credentials else None
    if known is None:
        raise _unauthorized(sent=credentials is not None, any_set=bool(hashes))
    address = request.client.host if request.client else "unknown address"
    return Caller(f"token {known[:8]}", address)


def _unauthorized(*, sent: bool, any_set: bool) -> ApiError:
    if not any_set:
        why = "no token is set up"
        fix = (
            "put one into the file of ops.token_file (else .oatie/run/ops-tokens), mode 0600, "
            "or use the `oatie` command on the host itself"
        )
    else:
        why = "the token is not known" if sent else "no token was sent"
        fix = "send `Authorization: Bearer TOKEN`, or use the `oatie` command on the host itself"
    challenge = 'Bearer realm="oatie", error="invalid_token"' if sent else 'Bearer realm="oatie"'
    return ApiError(401, "this needs a token", why=why, fix=fix, headers={"WWW-Authenticate": challenge})
