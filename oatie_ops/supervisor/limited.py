"""HTTP from anybody: what is too big or too slow is refused before it costs memory, a slot or patience.

uvicorn's own protocol waits for ever for the end of a request, and keeps a header of any length.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Takes the client's address, the status of the answer, and why.
OnRefused = Callable[[str, int, str], None]


@dataclass(frozen=True)
class Limits:
    """``head``: request line and headers. ``send``: how long a client may leave an answer unread."""

    url_bytes: int = 8 * 1024
    head_bytes: int = 32 * 1024
    headers: int = 100
    body_bytes: int = 64 * 1024
    pipelined: int = 16
    head_seconds: float = 10.0
    body_seconds: float = 15.0
    send_seconds: float = 20.0
    farewell_seconds: float = 1.0


class LimitedProtocol(HttpToolsProtocol):
    """``limits`` and ``on_refused`` are given with `functools.partial`, as uvicorn makes the instances."""

    def __init__(self, *args: Any, limits: Limits, on_refused: OnRefused, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._on_refused = on_refused
        self._deadline: asyncio.TimerHandle | None = None
        self._send_deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._body_bytes = 0
        self._over = False

    # --- connection ---------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._arm_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        idle = self.cycle is None or self.cycle.response_complete
        if self._deadline is None and idle:
            self._arm_head()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self._limits.head_bytes:
            self._refuse(431, f"its headers are longer than {self._limits.head_bytes} bytes")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_deadline = self.loop.call_later(self._limits.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._send_deadline is not None:
            self._send_deadline.cancel()
            self._send_deadline = None
        if self.flow is not None:
            super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        # An orderly close would wait for a client that does not read.
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    # --- parser -------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._body_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self._over or not self._head_is_acceptable():
            return
        self._arm(self._limits.body_seconds, "its body did not arrive in time")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._over:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._refuse(413, f"its body is longer than {self._limits.body_bytes} bytes")
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._disarm()
        if not self._over:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        # The parser's word is for the sender alone; two lengths, a bare LF and the like end here.
        self._refuse(400, "it is not valid HTTP")

    # --- refusing -----------------------------------------------------------------------------------------

    def _head_is_acceptable(self) -> bool:
        limits = self._limits
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if len(self.url) > limits.url_bytes:
            self._refuse(414, f"its address is longer than {limits.url_bytes} bytes")
        elif len(self.headers) > limits.headers or size > limits.head_bytes:
            self._refuse(431, f"more than {limits.headers} headers or {limits.head_bytes} bytes of them")
        elif _declared_length(self.headers) > limits.body_bytes:
            self._refuse(413, f"its body is longer than {limits.body_bytes} bytes")
        elif _is_ambiguous(self.headers):
            self._refuse(400, "its transfer coding is another one than chunked")
        elif not self.url.startswith(b"/") and self.url != b"*" and b"://" not in self.url:
            self._refuse(400, "its address is none")
        elif not _is_for_its_host(self.url, self.headers):
            self._refuse(421, "its address names another host than its Host header")
        elif len(self.pipeline) >= limits.pipelined:
            self._refuse(429, f"more than {limits.pipelined} requests were sent without waiting for answers")
        else:
            return True
        return False

    def _arm_head(self) -> None:
        self._arm(self._limits.head_seconds, "its headers did not arrive in time")

    def _arm(self, seconds: float, why: str) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._too_slow, why)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self, why: str) -> None:
        self._deadline = None
        if self._in_head and self._head_bytes == 0:
            self.transport.close()  # it never asked for anything
        else:
            self._refuse(408, why)

    def _refuse(self, status: int, why: str) -> None:
        """Answers where no answer has begun, hears no more, and closes once the client can have read it."""
        if self._over:
            return
        self._over = True
        self._disarm()
        self._unset_keepalive_if_required()
        self._on_refused(self.client[0] if self.client else "unknown address", status, why)
        answered = self.cycle is not None and self.cycle.response_started
        if not answered or self.cycle.response_complete:
            self.transport.write(_answer(status, why))
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()  # a socket that is closed with unread bytes resets the answer away
        self.loop.call_later(self._limits.farewell_seconds, self.transport.abort)


def _is_ambiguous(headers: list[tuple[bytes, bytes]]) -> bool:
    """Another program in between could see another end of the body."""
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    return bool(codings) and codings != [b"chunked"]


def _is_for_its_host(url: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
    """An address may be written whole, as for a proxy; then it counts, and the Host header must agree."""
    if url.startswith(b"/") or url == b"*":
        return True
    authority = re.split(rb"[/?#]", url.partition(b"://")[2], maxsplit=1)[0]
    return [authority.lower()] == [value.lower() for name, value in headers if name == b"host"]


def _declared_length(headers: list[tuple[bytes, bytes]]) -> int:
    values = [value for name, value in headers if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else 0


def _answer(status: int, why: str) -> bytes:
    title = HTTPStatus(status).phrase
    what = "the request was refused"
    body = json.dumps(
        {
            "type": f"urn:oatie:problem:{title.lower().replace(' ', '-')}",
            "title": title,
            "status": status,
            "detail": f"{what}: {why}",
            "code": title.lower().replace(" ", "-"),
            "what": what,
            "why": why,
            "fix": "",
            "details": [],
            "exit_code": 1,
        }
    ).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
        "content-security-policy: default-src 'none'; frame-ancestors 'none'; base-uri 'none'\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body
