"""One plain HTTP/1.1 request for a check: bounded in time by the caller, in size here.

It opens a connection of its own each time and closes it (as Kubernetes' probes do), because what is
measured is whether a new client would be served. Parsed with httptools, as the workers do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import httptools

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.net import reason
from oatie_ops.health.wire import Wire

READ_BYTES = 16 * 1024
MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024


class BadAnswer(OSError):
    """Something answered, but not with a complete HTTP response."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.strerror = message


@dataclass(frozen=True)
class Answer:
    """``body`` is cut at `MAX_BODY_BYTES`, and ``whole`` then False."""

    status: int
    location: str
    body: bytes
    whole: bool


@dataclass
class _Collector:
    """httptools' callbacks. An interim response (1xx) is passed over, as RFC 9110 §15.2 asks."""

    head_only: bool
    parser: httptools.HttpResponseParser = field(init=False)
    status: int = 0
    location: str = ""
    body: bytearray = field(default_factory=bytearray)
    cut: bool = False
    headed: bool = False
    done: bool = False
    until_close: bool = True

    def __post_init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self.location = ""
        self.until_close = True

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered == b"location":
            self.location = value.decode("latin-1")
        elif lowered in (b"content-length", b"transfer-encoding"):
            self.until_close = False

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.headed = not 100 <= self.status < 200
        self.done = self.headed and self.head_only

    def on_body(self, chunk: bytes) -> None:
        room = MAX_BODY_BYTES - len(self.body)
        self.body += chunk[:room]
        self.cut = self.cut or len(chunk) > room

    def on_message_complete(self) -> None:
        self.done = self.done or self.headed

    def feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.headed = self.done = True
        except httptools.HttpParserError as error:
            raise BadAnswer("the answer is not HTTP") from error


async def exchange(wire: Wire, request: bytes, *, head_only: bool, attempt: Attempt) -> Answer:
    """Sends ``request``, reads its answer and always ends the connection. Raises `BadAnswer`."""
    collector = _Collector(head_only)
    try:
        await wire.send(request)
        await _read(wire, collector, attempt)
    except BadAnswer:
        raise
    except OSError as error:
        raise BadAnswer(reason(error)) from error
    finally:
        # Nothing is left to say, and the rest of a large body is not waited for.
        wire.abort()
    whole = collector.done and not collector.cut
    return Answer(collector.status, collector.location, bytes(collector.body), whole)


async def _read(wire: Wire, collector: _Collector, attempt: Attempt) -> None:
    attempt.waiting_for = "waiting for the answer"
    received = 0
    while not collector.done and len(collector.body) < MAX_BODY_BYTES:
        data = await wire.receive(READ_BYTES)
        if not data:
            if collector.headed and collector.until_close:
                collector.done = True
                return
            raise BadAnswer("the answer was cut short" if received else "closed without an answer")
        received += len(data)
        collector.feed(data)
        if collector.headed:
            attempt.waiting_for = "reading the body of the answer"
        elif received > MAX_HEAD_BYTES:
            raise BadAnswer(f"more than {MAX_HEAD_BYTES // 1024} KiB of headers")
