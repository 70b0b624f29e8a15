"""What stands in front of every request: who may be trusted, which Host is ours, which headers go out.

The same API is served twice. On the owner's Unix socket (mode 0600) everybody who gets in is the owner;
the mark is set here, by the listener that the request came through, and never derived from the address of
the client, which a reset connection can leave empty on TCP as well.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from oatie_ops.api.problems import ApiError, problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

TRUSTED = "oatie.trusted"
# Load balancers and kubelets send what Host they like, and these answers tell nothing to anybody.
ANY_HOST_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/health/startup"})

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_NOTHING_ACTIVE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'")


class Shield:
    """ASGI middleware. ``hosts`` are the names, besides loopback and plain addresses, that we answer to."""

    def __init__(self, application: Application, *, trusted: bool, hosts: Iterable[str] = ()) -> None:
        self._application = application
        self._trusted = trusted
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        head = scope["method"] == "HEAD"
        scope = {**scope, TRUSTED: self._trusted, "method": "GET" if head else scope["method"]}
        answer = _outgoing(send, head)
        if not self._trusted and scope["path"] not in ANY_HOST_PATHS:
            host = host_of(scope)
            if not self._ours(host):
                await _refusal(host)(scope, receive, answer)
                return
        await self._application(scope, receive, answer)

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


def _refusal(host: str | None) -> Application:
    error = ApiError(
        421,
        f"this is not {host}",
        why="the Host header names a host that the ops API does not answer to",
        fix="use localhost or the address, or add the name to ops.hosts in oatie.toml",
    )
    return problem(421, error)


def _outgoing(send: Send, head: bool) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            names = {name.lower() for name, _ in headers}
            extra = [*_HEADERS, _NOTHING_ACTIVE, (b"cache-control", b"no-store")]
            message = {**message, "headers": headers + [item for item in extra if item[0] not in names]}
        elif head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sending
