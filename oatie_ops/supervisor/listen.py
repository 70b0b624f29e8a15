"""The public listening socket: bound once by the supervisor, inherited by every worker."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys

from oatie_ops.errors import PrerequisiteMissing
from oatie_ops.redaction import redact
from oatie_ops.supervisor.rival import rival

BACKLOG = 2048
DEFER_SECONDS = 1  # tcp(7), TCP_DEFER_ACCEPT


class PublicSocket:
    """A public address: held while a release serves there, unless a plain program owns the port itself."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._sock: socket.socket | None = None

    @property
    def held(self) -> socket.socket | None:
        """The socket while it is ours, for whoever only looks."""
        return self._sock

    def hold(self) -> socket.socket:
        """Binds if need be. Raises `PrerequisiteMissing` naming the holder of a taken port."""
        if self._sock is None:
            self._sock = bind_public(self.host, self.port)
            self.port = int(self._sock.getsockname()[1])
        return self._sock

    def listen(self, *, deferred: bool = False) -> socket.socket:
        """``deferred`` keeps a connection back until its client has said something, for a second at most.

        Whoever takes it can then serve it at once, rather than hold it while others have nothing to do. Not
        for programs that may speak first. Linux only; elsewhere it changes nothing.
        """
        sock = self.hold()
        try:
            _defer(sock, DEFER_SECONDS if deferred else 0)
            sock.listen(BACKLOG)
        except OSError as error:
            raise cannot_bind(self.host, self.port, error) from error
        return sock

    def refuse(self) -> None:
        """Ends listening for every process that holds the socket: new clients are refused at once."""
        if self._sock is not None:
            with contextlib.suppress(OSError):  # not listening (yet), or a system that cannot
                self._sock.shutdown(socket.SHUT_RDWR)

    def let_go(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def bind_public(host: str, port: int) -> socket.socket:
    """Binds, but does not listen: until a worker is ready, clients are refused rather than kept waiting.

    TCP_NODELAY is set here because accepted sockets inherit it; without it each keep-alive answer in
    two writes costs a delayed acknowledgement (40 ms).
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((host, port))
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise cannot_bind(host, port, error) from error
    return sock


def _defer(sock: socket.socket, seconds: int) -> None:
    if sys.platform == "linux":
        # Kernels that only look like Linux (gVisor, WSL 1) may not know it.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)


def bind_private() -> socket.socket:
    """A loopback socket on a port of the kernel's choice, for one worker's gate."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind(("127.0.0.1", 0))
    return sock


def free_port() -> int:
    """A loopback port that nobody uses now, for a program that can only be told a number."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def cannot_bind(host: str, port: int, error: OSError) -> PrerequisiteMissing:
    if error.errno == errno.EADDRINUSE:
        pid = port_holder(port)
        other = rival(pid) if pid else None
        if other is not None:
            why = f"held by the oatie of {other.directory} (process {other.pid})"
        elif pid:
            why = f"held by {_described(pid)}"
        else:
            why = "another process listens on it (it is not ours to look at)"
        remedy = f"`oatie stop` in {other.directory}" if other else "stop that process"
        return PrerequisiteMissing(
            f"port {port} is taken",
            why=why,
            fix=f"{remedy}, or choose another port: `--port {port + 1}` or app.port in oatie.toml",
        )
    if error.errno == errno.EACCES:
        return PrerequisiteMissing(
            f"not allowed to listen on port {port}",
            why="ports below 1024 need a privilege that this user does not have",
            fix="choose a port from 1024 up, or grant CAP_NET_BIND_SERVICE",
        )
    return PrerequisiteMissing(
        f"cannot listen on {host}:{port}",
        why=error.strerror or str(error),
        fix="set app.host to an address of this machine (127.0.0.1, 0.0.0.0 or ::)",
    )


def port_holder(port: int) -> int | None:
    """The process that listens on the port; None where we may not know."""
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return None
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,)
        if listens and connection.pid:
            return int(connection.pid)
    return None


def _described(pid: int) -> str:
    """As ``pid 123 (name: command line)``."""
    import psutil

    try:
        process = psutil.Process(pid)
        return f"pid {pid} ({process.name()}: {redact(' '.join(process.cmdline()))[:120]})"
    except psutil.Error:
        return f"pid {pid}"
