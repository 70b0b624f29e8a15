"""A connection for one request and its answer, as cheap as it can be: a thousand checks open one each."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Protocol


class Wire(Protocol):
    async def send(self, data: bytes) -> None: ...

    async def receive(self, most: int) -> bytes:
        """Empty at the end."""
        ...

    def abort(self) -> None:
        """Ends the connection, whatever is on its way."""
        ...


class StreamWire:
    """For what needs a transport of asyncio: TLS, Unix sockets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader

    async def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def receive(self, most: int) -> bytes:
        return await self._reader.read(most)

    def abort(self) -> None:
        self.writer.transport.abort()


class SocketWire:
    """Plain TCP. Without a transport, a protocol and streams an exchange costs half as much."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def receive(self, most: int) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._sock, most)

    def abort(self) -> None:
        self._sock.close()


async def open_plain(address: str, port: int) -> SocketWire:
    """``address`` is numeric. Raises `OSError`."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await _connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return SocketWire(sock)


async def _connect(sock: socket.socket, peer: tuple[str, int]) -> None:
    """On one host a connection is there at once although it is said to be under way; asking a second time
    (connect(2)) finds out without waiting for an event.
    """
    try:
        sock.connect(peer)
    except BlockingIOError:
        try:
            await asyncio.get_running_loop().sock_connect(sock, peer)
        except OSError as error:
            if error.errno != errno.EISCONN:  # how systems other than Linux say it
                raise
