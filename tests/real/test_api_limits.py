"""The listener of the network against clients that send too much, too slowly, or two meanings at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from oatie_ops.supervisor.embedded import EmbeddedServer
from oatie_ops.supervisor.limited import Limits
from tests.real.waiting import run

QUICK = Limits(head_seconds=0.3, body_seconds=0.3, send_seconds=0.5, farewell_seconds=0.2)
# Where nothing is about time, a loaded machine must not make it so.
PATIENT = Limits(farewell_seconds=0.2)
CHUNK = b"x" * 16_384


@dataclass
class Listener:
    port: int
    refused: list[tuple[int, str]] = field(default_factory=list)
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    big: bytes = b"y" * 8_000_000

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.seen.append((scope["path"], body))
        answer = self.big if scope["path"] == "/big" else b"ok"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": answer})


@contextlib.asynccontextmanager
async def listening(limits: Limits = PATIENT) -> AsyncIterator[Listener]:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)
    listener = Listener(sock.getsockname()[1])
    server = EmbeddedServer(
        listener.app,
        sock,
        limits=limits,
        on_refused=lambda _address, status, why: listener.refused.append((status, why)),
    )
    task = asyncio.ensure_future(server.run_until_told())
    try:
        yield listener
    finally:
        server.should_exit = server.force_exit = True
        await task


async def sent(listener: Listener, *parts: bytes, pause_seconds: float = 0.0) -> bytes:
    """All that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    answer = b""
    try:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause_seconds)
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65_536):
                answer += piece
    finally:
        writer.close()
    return answer


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"


def test_ordinary_requests_pass() -> None:
    async def work() -> None:
        async with listening() as listener:
            assert status_of(await sent(listener, REQUEST)) == 200
            assert status_of(await sent(listener, REQUEST[:20], REQUEST[20:], pause_seconds=0.05)) == 200
            answer = await sent(listener, POST + b"content-length: 5\r\n\r\nhe", b"llo", pause_seconds=0.05)
            assert status_of(answer) == 200
            assert listener.seen[-1] == ("/", b"hello")
            twice = REQUEST.replace(b"connection: close\r\n", b"") + REQUEST
            assert (await sent(listener, twice)).count(b"200 OK") == 2
            assert listener.refused == []

    run(work)


TOO_MUCH = {
    "header of 1 MB": (431, [b"GET / HTTP/1.1\r\nx: " + CHUNK * 4] + [CHUNK] * 60),
    "a thousand headers": (
        431,
        [b"GET / HTTP/1.1\r\n" + b"".join(b"x%d: 1\r\n" % n for n in range(1000)) + b"\r\n"],
    ),
    "address of 20 kB": (414, [b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n"]),
    "declared body of 1 GB": (413, [POST + b"content-length: 1000000000\r\n\r\n"]),
    "chunked body without end": (
        413,
        [POST + b"transfer-encoding: chunked\r\n\r\n"] + [b"4000\r\n" + CHUNK + b"\r\n"] * 8,
    ),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_too_much_is_refused_and_told(name: str) -> None:
    status, parts = TOO_MUCH[name]

    async def work() -> None:
        async with listening() as listener:
            answer = await sent(listener, *parts)
            assert [code for code, _why in listener.refused] == [status]
            assert status_of(answer) in (status, 0)  # 0: the kernel dropped it, as we had not read all
            assert listener.seen == []
            assert status_of(await sent(listener, REQUEST)) == 200

    run(work)


TOO_SLOW = {
    "headers that never end": [b"GET / HTTP/1.1\r\nhost: localhost\r\n"],
    "headers by the byte": [bytes([byte]) for byte in b"GET / HTTP/1.1\r\nx: " + b"y" * 200],
    "body that never comes": [POST + b"content-length: 10\r\n\r\n"],
    "body by the byte": [POST + b"content-length: 200\r\n\r\n"] + [b"z"] * 199,
    "only empty lines": [b"\r\n"] * 60,
    "first request, then nothing more of the second": [
        REQUEST.replace(b"connection: close\r\n", b""),
        b"GET / HTTP/1.1\r\nho",
    ],
}


@pytest.mark.parametrize("name", TOO_SLOW)
def test_too_slow_is_given_up(name: str) -> None:
    async def work() -> None:
        async with listening(QUICK) as listener:
            await sent(listener, *TOO_SLOW[name], pause_seconds=0.02)  # ends: the server closes
            assert {code for code, _why in listener.refused} <= {408}
            assert [path for path, _body in listener.seen if _body] == []

    run(work)


def test_who_says_nothing_at_all_is_let_go_without_a_word() -> None:
    async def work() -> None:
        async with listening(QUICK) as listener:
            assert await sent(listener) == b""
            assert listener.refused == []

    run(work)


def test_who_does_not_read_the_answer_is_cut_off() -> None:
    async def work() -> None:
        async with listening(QUICK) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1024)
            writer.write(REQUEST.replace(b"GET / ", b"GET /big "))
            await writer.drain()
            while listener.seen == []:
                await asyncio.sleep(0.01)
            await asyncio.sleep(QUICK.send_seconds * 3)
            got = 0
            with contextlib.suppress(ConnectionError):
                while piece := await reader.read(65_536):
                    got += len(piece)
            writer.close()
            assert got < len(listener.big)

    run(work)


AMBIGUOUS = {
    "length and chunks": POST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"content-length: 4\r\ncontent-length: 5\r\n\r\nhello",
    "signed length": POST + b"content-length: +4\r\n\r\nhell",
    "chunked twice over": POST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "space before the colon": POST + b"content-length : 4\r\n\r\nhell",
    "header that goes on": POST + b"x: 1\r\n content-length: 4\r\n\r\nhell",
    "bare carriage return": POST + b"x: 1\rcontent-length: 4\r\n\r\n",
    "NUL in a header": POST + b"x: \0\r\n\r\n",
    "chunk size that is none": POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    "other protocol": b"GET / HTTP/9.9\r\n\r\n",
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_request_with_two_meanings_reaches_nothing(name: str) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n"

    async def work() -> None:
        async with listening() as listener:
            answer = await sent(listener, AMBIGUOUS[name] + smuggled)
            assert b"200 OK" not in answer
            assert status_of(answer) == 400
            assert answer.count(b"HTTP/1.1 ") == 1
            assert [code for code, _why in listener.refused] == [400]
            assert [path for path, _body in listener.seen if path == "/smuggled"] == []

    run(work)


def test_hundred_requests_at_once_without_waiting_are_too_many() -> None:
    async def work() -> None:
        async with listening() as listener:
            await sent(listener, REQUEST.replace(b"connection: close\r\n", b"") * 100)
            assert [code for code, _why in listener.refused] == [429]
            assert len(listener.seen) <= QUICK.pipelined + 1

    run(work)
