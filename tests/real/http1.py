"""A bare HTTP/1.1 exchange on a non-blocking socket, exact about how it failed.

Library clients retry, pool and look at a connection before they write on it; a proof that no request is
lost must do none of that, so this speaks to the socket itself.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass, field

READ_SIZE = 65536
MAX_HEAD_BYTES = 65536


class ExchangeFailed(Exception):
    """One request that got no whole, valid answer; `reason` is a stable short word."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes
    closes: bool  # the server announced that this connection ends here


@dataclass
class Connection:
    """One TCP connection; `requests` counts the finished exchanges on it."""

    sock: socket.socket
    requests: int = 0
    _buffer: bytearray = field(default_factory=bytearray)

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError):
                raise ExchangeFailed(_connect_reason(error), str(error)) from error
            raise
        return cls(sock)

    def close(self) -> None:
        self.sock.close()

    def closed_by_peer(self) -> bool:
        """Whether an end of file or a reset is already waiting: what a careful client looks at first."""
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def exchange(self, request: bytes) -> Response:
        """Sends one request and reads its whole response; raises `ExchangeFailed`."""
        try:
            await asyncio.get_running_loop().sock_sendall(self.sock, request)
        except OSError as error:
            raise ExchangeFailed("cut" if self.requests else "reset", f"while sending: {error}") from error
        response = await self._read_response()
        self.requests += 1
        return response

    async def _read_response(self) -> Response:
        while True:
            head = await self._read_head()
            status, version, headers = _parse_head(head)
            if status >= 200:
                break
        tokens = {token.strip().lower() for token in headers.get("connection", "").split(",")}
        closes = "close" in tokens or (version == "HTTP/1.0" and "keep-alive" not in tokens)
        if status in (204, 304):
            body = b""
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            body = await self._read_chunked()
        elif "content-length" in headers:
            body = await self._read_exactly(int(headers["content-length"]))
        else:
            body, closes = await self._read_to_end(), True
        return Response(status, headers, body, closes)

    async def _read_head(self) -> bytes:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise ExchangeFailed("bad-response", "endless head")
            await self._fill(before_first_byte=not self._buffer)
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        return head

    async def _read_exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            await self._fill()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def _read_chunked(self) -> bytes:
        body = bytearray()
        while True:
            while (end := self._buffer.find(b"\r\n")) < 0:
                await self._fill()
            size = int(bytes(self._buffer[:end]).split(b";")[0], 16)
            del self._buffer[: end + 2]
            body += (await self._read_exactly(size + 2))[:size]
            if size == 0:
                return bytes(body)

    async def _read_to_end(self) -> bytes:
        while await self._receive():
            pass
        body = bytes(self._buffer)
        self._buffer.clear()
        return body

    async def _fill(self, *, before_first_byte: bool = False) -> None:
        try:
            if await self._receive():
                return
            detail = "end of file"
        except ExchangeFailed as error:
            detail = error.detail
        if not before_first_byte:
            raise ExchangeFailed("short", f"{detail} after {len(self._buffer)} bytes")
        raise ExchangeFailed("cut" if self.requests else "reset", detail)

    async def _receive(self) -> bool:
        try:
            data = await asyncio.get_running_loop().sock_recv(self.sock, READ_SIZE)
        except OSError as error:
            raise ExchangeFailed("short", str(error)) from error
        self._buffer += data
        return bool(data)


def _connect_reason(error: OSError) -> str:
    return {
        errno.ECONNREFUSED: "refused",
        errno.ECONNRESET: "connect-reset",
        errno.ETIMEDOUT: "connect-timeout",
    }.get(error.errno or 0, "connect-error")


def _parse_head(head: bytes) -> tuple[int, str, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise ExchangeFailed("bad-response", lines[0][:80])
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(rest[:3]), version, headers
