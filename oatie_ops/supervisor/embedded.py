"""A uvicorn server inside the supervisor's own loop: no signal handlers, no ten ticks a second."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.server import Server

if TYPE_CHECKING:
    from oatie_ops.supervisor.limited import Limits, OnRefused

# uvicorn renews its Date header when its tick counter is a multiple of this.
TICKS_PER_SECOND = 10
CONNECTIONS = 200
FAREWELL_SECONDS = 0.5
# Of the network's listener: some hundred dashboards that stay connected, and who asks beside them.
PUBLIC_CONNECTIONS = 1000


@dataclass(frozen=True)
class Certificate:
    """PEM files. They are read again when they change: certificates are renewed without a restart."""

    chain: Path
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises `OSError` (which `ssl.SSLError` is) where the files cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self.chain, self.key)

    def changed_at(self) -> tuple[float, ...]:
        paths = (self.chain,) if self.key is None else (self.chain, self.key)
        return tuple(path.stat().st_mtime for path in paths)


class EmbeddedServer(Server):
    """``on_refused`` given: the listener of the network, with limits for what anybody may send."""

    def __init__(
        self,
        application: Any,
        sock: socket.socket,
        *,
        graceful_seconds: int = 1,
        on_refused: OnRefused | None = None,
        limits: Limits | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        config = Config(
            _Ended(application),
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="none",
            http="auto" if on_refused is None else _limited(on_refused, limits),
            timeout_graceful_shutdown=graceful_seconds,
            limit_concurrency=CONNECTIONS if on_refused is None else PUBLIC_CONNECTIONS,
        )
        super().__init__(config)
        self._sock = sock
        self._certificate = certificate
        self._loaded_at = () if certificate is None else certificate.changed_at()
        if certificate is not None:
            config.load()
            config.ssl = certificate.context()

    async def run_until_told(self) -> None:
        await self.serve(sockets=[self._sock])

    async def main_loop(self) -> None:
        while not await self.on_tick(counter=TICKS_PER_SECOND):
            await asyncio.sleep(1.0)
            self._renew_certificate()

    def _renew_certificate(self) -> None:
        """While new files cannot be used (half written, not matching), the old certificate serves on."""
        if self._certificate is None or self.config.ssl is None:
            return
        with contextlib.suppress(OSError):
            changed_at = self._certificate.changed_at()
            if changed_at != self._loaded_at:
                self._certificate.load_into(self.config.ssl)
                self._loaded_at = changed_at

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Ended:
    """Ends the answers that are still under way when the supervisor ends: nothing else cancels a request.

    A stream has no end of its own. Cut off instead, it would be told as an error of the server's, with a
    traceback, and its reader could not tell it from a broken connection.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        began = over = False

        async def noting(message: Any) -> None:
            nonlocal began, over
            began = True
            over = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        try:
            await self._application(scope, receive, noting)
        except asyncio.CancelledError:
            if over:
                raise
            async with asyncio.timeout(FAREWELL_SECONDS):  # a reader who does not read holds up nothing
                if not began:
                    await send({"type": "http.response.start", "status": 503, "headers": []})
                await send({"type": "http.response.body", "body": b""})


def _limited(on_refused: OnRefused, limits: Limits | None) -> Any:
    from oatie_ops.supervisor.limited import LimitedProtocol, Limits

    return partial(LimitedProtocol, limits=limits or Limits(), on_refused=on_refused)
