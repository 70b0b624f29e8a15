"""Just enough HTTP over ASGI for the demo: it must import fast, so no framework."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 64 * 1024


class ClientGone(Exception):
    """The client left before its request was complete; nobody waits for an answer."""


class HttpError(Exception):
    """An answer other than success, rendered as RFC 9457 problem details."""

    def __init__(
        self, status: int, title: str, detail: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers

    def response(self) -> Response:
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        return Response(self.status, json.dumps(body).encode(), "application/problem+json", self.headers)


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    receive: Receive

    async def body(self) -> bytes:
        """The whole body. Raises `HttpError` 413 above `MAX_BODY_BYTES`, `ClientGone` on a disconnect."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise HttpError(413, "Content Too Large", f"the body may have {MAX_BODY_BYTES} bytes at most")
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def json_object(self) -> dict[str, Any]:
        """The body as a JSON object; an empty body counts as ``{}``."""
        raw = await self.body()
        if not raw.strip():
            return {}
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise HttpError(400, "Bad Request", "the body is not JSON") from error
        if not isinstance(value, dict):
            raise HttpError(400, "Bad Request", "the body must be a JSON object")
        return value


def request_from(scope: Scope, receive: Receive) -> Request:
    raw_query = scope.get("query_string", b"").decode("latin-1")
    try:
        parsed = parse_qs(raw_query, keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise HttpError(400, "Bad Request", "the query string has too many fields") from error
    return Request(
        method=scope["method"],
        path=scope["path"],
        query={key: values[-1] for key, values in parsed.items()},
        receive=receive,
    )


def json_response(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(status, json.dumps(value).encode(), "application/json", headers)


async def send_response(send: Send, response: Response, *, head: bool) -> None:
    headers = [
        (b"content-type", response.content_type.encode("latin-1")),
        (b"content-length", str(len(response.body)).encode("latin-1")),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else response.body})
