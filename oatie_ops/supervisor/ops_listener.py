"""Where the ops API listens: what was declared, or as much of it as is safe."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oatie_ops.config import defaults
from oatie_ops.config.address import is_loopback, listen_address
from oatie_ops.config.settings import OpsSettings
from oatie_ops.errors import OatieError
from oatie_ops.records import dataclass
from oatie_ops.supervisor.listen import bind_public

if TYPE_CHECKING:
    from oatie_ops.supervisor.embedded import Certificate, EmbeddedServer
    from oatie_ops.supervisor.supervisor import Supervisor

PORT_TRIES = 20
BACKLOG = 256
TOKEN_LOOK_SECONDS = 2.0
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Place:
    """``narrowed``: on loopback although more was declared, because nobody could prove who they are."""

    host: str
    port: int
    narrowed: bool = False


def place(listen: str, *, has_token: bool) -> Place | None:
    """Pure. None for "off" and for what is no address."""
    address = listen_address(listen)
    if address is None:
        return None
    host, port = address
    if is_loopback(host) or has_token:
        return Place(host, port)
    return Place(LOOPBACK, port, narrowed=True)


class OpsListener:
    """Bound before the ops API is imported, so that its address is known early; served once it is there."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._ops = supervisor.settings.ops
        self._sock: socket.socket | None = None

    def bind(self) -> None:
        wanted = place(self._ops.listen, has_token=False)
        if wanted is not None:
            self._bind(wanted)

    async def serve(self, services: Any) -> None:
        """Until cancelled. Widens to the declared address as soon as there is a token."""
        if self._sock is None:
            return
        certificate = self._certificate()
        if self._ops.tls_certificate is not None and certificate is None:
            self._sock.close()
            return
        while self._sock is not None:
            why_no_token = await asyncio.to_thread(services.why_no_token)
            wanted = place(self._ops.listen, has_token=not why_no_token)
            if wanted is not None and wanted.host != self._bound_host() and not wanted.narrowed:
                self._sock.close()
                self._sock = None
                self._bind(wanted)
                continue
            if wanted is not None and wanted.narrowed:
                self._note(
                    f"the ops API listens on {LOOPBACK}:{self._sock.getsockname()[1]} only, not on "
                    f"{self._ops.listen}: {why_no_token}. `oatie token create NAME` makes one; it then "
                    "opens up by itself"
                )
            await self._serve(services, certificate, watch=bool(wanted and wanted.narrowed))

    async def _serve(self, services: Any, certificate: Certificate | None, *, watch: bool) -> None:
        from oatie_ops.supervisor.embedded import EmbeddedServer

        assert self._sock is not None
        server = EmbeddedServer(
            services.public, self._sock, on_refused=services.refused, certificate=certificate
        )
        watching = asyncio.ensure_future(self._end_once_there_is_a_token(services, server)) if watch else None
        try:
            await server.run_until_told()
        finally:
            if watching is not None:
                watching.cancel()
        if not watch:
            self._sock = None

    @staticmethod
    async def _end_once_there_is_a_token(services: Any, server: EmbeddedServer) -> None:
        while await asyncio.to_thread(services.why_no_token):
            await asyncio.sleep(TOKEN_LOOK_SECONDS)
        server.should_exit = True

    def _bound_host(self) -> str | None:
        address = self._supervisor.ops_address
        return None if address is None else address[0]

    def _certificate(self) -> Certificate | None:
        from oatie_ops.supervisor.embedded import Certificate

        chain, key = tls_files(self._ops, self._supervisor.settings.root)
        if chain is None:
            return None
        certificate = Certificate(chain, key)
        try:
            certificate.context()
        except OSError as error:
            self._supervisor.ops_address = None
            self._supervisor.ops_failure = f"its TLS files cannot be used: {error}"
            self._note(f"the ops API does not listen: {self._supervisor.ops_failure}")
            return None
        return certificate

    def _bind(self, wanted: Place) -> None:
        """With the default address the next free port, because it is a popular one."""
        tries = PORT_TRIES if self._ops.listen == defaults.OPS_LISTEN else 1
        supervisor = self._supervisor
        for port in range(wanted.port, wanted.port + tries):
            try:
                sock = bind_public(wanted.host, port)
                sock.listen(BACKLOG)
            except (OatieError, OSError) as error:
                supervisor.ops_failure = str(error)
            else:
                supervisor.ops_address = (wanted.host, int(sock.getsockname()[1]))
                supervisor.ops_failure = ""
                self._sock = sock
                return
        supervisor.ops_address = None
        self._note(
            f"the ops API does not listen ({supervisor.ops_failure}); set ops.listen in oatie.toml. "
            "The CLI goes on over the control socket."
        )

    def _note(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._supervisor.machinery.sink.note(text)


def tls_files(ops: OpsSettings, root: Path) -> tuple[Path | None, Path | None]:
    found = [
        None if declared is None else root / Path(declared).expanduser()
        for declared in (ops.tls_certificate, ops.tls_key)
    ]
    return found[0], found[1]
