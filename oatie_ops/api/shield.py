"""What stands in front of every request: who may be trusted, which Host is ours, which headers go out.

The same API is served twice. On the owner's Unix socket (mode 0600) everybody who gets in is the owner;
the mark is set here, by the listener that the request came through, and never derived from the address of
the client, which a reset connection can leave empty on TCP as well.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

from oatie_ops.api.origins import PREFLIGHT, SAFE_METHODS, cors_headers, refusal
from oatie_ops.api.problems import NOTES, ApiError, problem
from oatie_ops.api.refusals import Refusal
from oatie_ops.printable import printable

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

TRUSTED = "oatie.trusted"
# Load balancers and kubelets send what Host they like, and these answers tell nothing to anybody.
ANY_HOST_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/health/startup"})
# Answers to a GET that tell of more than a mistyped address: 405 is an attempt to act by following a link.
_SUSPICIOUS = frozenset({400, 401, 403, 405, 408, 413, 414, 415, 421, 429, 431})
# In an address that is not ours, these are no mistake of a finger.
_HOSTILE = re.compile(r"\.\.|//|[<>\"'`;\\{}$|\x00-\x1f\x7f]|--")
MAX_NOTE = 300
_HSTS = (b"strict-transport-security", b"max-age=31536000")

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_NOTHING_ACTIVE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'")


class Shield:
    """ASGI middleware. ``hosts`` are the names, besides loopback and plain addresses, that we answer to.

    ``origins`` are those of other sites whose pages may ask (CORS); ``refused`` hears of what was refused.
    """

    def __init__(
        self,
        application: Application,
        *,
        trusted: bool,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        refused: Callable[[Refusal], None] = lambda _refusal: None,
    ) -> None:
        self._application = application
        self._trusted = trusted
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)
        self._origins = frozenset(origins)
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        method, notes = scope["method"], dict[str, Any]()
        head = method == "HEAD"
        scope = {**scope, TRUSTED: self._trusted, NOTES: notes, "method": "GET" if head else method}
        headers = _by_name(scope)
        extra = cors_headers(headers.get("origin"), self._origins)
        if scope.get("scheme") == "https":
            extra.append(_HSTS)
        answer = _outgoing(send, head, extra, notes)
        checked = not self._trusted and scope["path"] not in ANY_HOST_PATHS
        application = (self._answer_for(scope, method, headers) if checked else None) or self._application
        try:
            await application(scope, receive, answer)
        finally:
            if not self._trusted or method not in SAFE_METHODS:
                self._note(scope, method, headers, notes)

    def _answer_for(self, scope: Scope, method: str, headers: Mapping[str, str]) -> Application | None:
        """The refusal that this request gets instead of an answer, or the answer to a preflight."""
        host = host_of(scope)
        if host is None and scope.get("http_version") not in ("1.0", "0.9"):
            return _no_host(scope)
        if not self._ours(host):
            return _wrong_host(scope, host)
        why = refusal(method, headers, self._origins)
        if why:
            return _wrong_page(scope, why)
        preflight = method == "OPTIONS" and "access-control-request-method" in headers
        return _preflight if preflight and headers.get("origin") in self._origins else None

    def _note(self, scope: Scope, method: str, headers: Mapping[str, str], notes: Mapping[str, Any]) -> None:
        """For the audit: every change that was not made, and what looks like an attempt to get in."""
        status = notes.get("status", 0)
        if status < 400 or (method in SAFE_METHODS and not _is_suspicious(scope, status, headers)):
            return
        caller, client = notes.get("caller"), scope.get("client")
        why = str(notes.get("why") or HTTPStatus(status).phrase.lower())
        reason = notes.get("reason") or dict(parse_qsl(_query(scope))).get("reason", "")
        self._refused(
            Refusal(
                address=caller.origin if caller else (client[0] if client else "unknown address"),
                actor=caller.actor if caller else "unknown",
                action=printable(f"{method} {scope['path']}", MAX_NOTE),
                status=status,
                why=printable(f"{why} ({reason})" if reason else why, MAX_NOTE),
            )
        )

    def _ours(self, host: str | None) -> bool:
        """A page of another site can reach us under its own name only (DNS rebinding), so names are checked.

        A plain address cannot be rebound, and a request without a Host comes from no browser.
        """
        if host is None or host == "localhost" or host.endswith(".localhost") or host in self._hosts:
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True


def _by_name(scope: Scope) -> dict[str, str]:
    """Values of a header that came more than once are joined, so that no check sees only one of them."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _query(scope: Scope) -> str:
    return bytes(scope.get("query_string", b"")).decode("latin-1")


def _is_suspicious(scope: Scope, status: int, headers: Mapping[str, str]) -> bool:
    """Of a request that would have changed nothing."""
    if _HOSTILE.search(f"{scope['path']}?{unquote(_query(scope))}"):
        return True
    if status == 401 and "authorization" not in headers:
        return False  # somebody who has not signed in yet
    return status in _SUSPICIOUS


def host_of(scope: Scope) -> str | None:
    """The name in the Host header, lower case, without port and brackets; None where there is none.

    More than one Host, or one that means nothing, gives a name that nobody has.
    """
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if not values:
        return None
    value = values[0].strip().lower()
    name, bracket, port = value[1:].partition("]") if value.startswith("[") else ("", "", "")
    if not bracket:
        name, _, port = value.partition(":")
        port = f":{port}" if port else ""
    if len(values) > 1 or (port and not (port[0] == ":" and port[1:].isdigit())):
        return "?"
    return name.rstrip(".") or "?"


def _wrong_host(scope: Scope, host: str | None) -> Application:
    error = ApiError(
        421,
        f"this is not {host}",
        why="the Host header names a host that the ops API does not answer to",
        fix="use localhost or the address, or add the name to ops.hosts in oatie.toml",
    )
    scope[NOTES]["why"] = f"{error.what}: {error.why}"
    return problem(421, error)


def _no_host(scope: Scope) -> Application:
    scope[NOTES]["why"] = why = "HTTP/1.1 requires a Host header"
    return problem(400, ApiError(400, "the request names no host", why=why))


def _wrong_page(scope: Scope, why: str) -> Application:
    error = ApiError(
        403,
        "a page of another origin may not ask this",
        why=why,
        fix="open the dashboard itself; for pages of yours that read with a token, see ops.cors_origins",
    )
    scope[NOTES]["why"] = f"{error.what}: {error.why}"
    return problem(403, error)


async def _preflight(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": PREFLIGHT})
    await send({"type": "http.response.body", "body": b""})


def _outgoing(
    send: Send, head: bool, extra: Sequence[tuple[bytes, bytes]], notes: MutableMapping[str, Any]
) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            notes["status"] = message["status"]
            headers = list(message.get("headers", ()))
            names = {name.lower() for name, _ in headers}
            added = [*_HEADERS, _NOTHING_ACTIVE, (b"cache-control", b"no-store")]
            message = {
                **message,
                "headers": [*headers, *extra, *(item for item in added if item[0] not in names)],
            }
        elif head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sending
