"""The supervisor's end of a fork server (`oatie_ops.supervisor.forkserver`)."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oatie_ops.supervisor.spec import ReleaseSpec

# Read by the interpreter or the loader before any of our code runs, so they cannot be set after a fork.
EARLY_VARIABLES = ("PYTHON", "LD_", "DYLD_", "MALLOC_", "GLIBC_TUNABLES", "OPENSSL_CONF", "SSL_CERT")


LaunchKey = tuple[str, tuple[tuple[str, str], ...]]


class LaunchFailed(Exception):
    """The fork server ended before it could fork: its interpreter or our packages are broken."""


class ForkServer:
    """One per release, because a release may bring its own interpreter and packages."""

    def __init__(
        self, channel: socket.socket, pid: int, key: tuple[str, tuple[tuple[str, str], ...]]
    ) -> None:
        self.pid = pid
        self.key = key
        self._channel = channel
        self._turn = asyncio.Lock()

    @classmethod
    def start(cls, python: str | None, early_environment: Mapping[str, str]) -> ForkServer:
        """Starts at once and does not wait; the first `fork` waits until it has imported the server."""
        ours, theirs = socket.socketpair()
        interpreter = python or sys.executable
        theirs.set_inheritable(True)
        # -P: the working directory must not shadow the standard library.
        argv = [interpreter, "-P", "-c", _bootstrap(), str(theirs.fileno()), str(os.getpid())]
        pid = os.posix_spawn(interpreter, argv, {**os.environ, **early_environment})
        theirs.close()
        ours.setblocking(False)
        return cls(ours, pid, launch_key(python, early_environment))

    async def fork(self, order: Mapping[str, Any], fds: Mapping[str, int]) -> int:
        """The pid of a new worker. Raises `LaunchFailed` if the fork server is gone."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            try:
                self._send(order, fds)
                answer = b""
                while not answer.endswith(b"\n"):
                    data = await loop.sock_recv(self._channel, 4096)
                    if not data:
                        raise LaunchFailed("the fork server ended")
                    answer += data
            except OSError as error:
                raise LaunchFailed(f"the fork server does not answer ({error})") from error
        return int(json.loads(answer)["pid"])

    def _send(self, order: Mapping[str, Any], fds: Mapping[str, int]) -> None:
        line = (json.dumps(order) + "\n").encode()
        rights = array.array("i", fds.values())
        self._channel.setblocking(True)
        try:
            sent = self._channel.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            self._channel.sendall(line[sent:])
        finally:
            self._channel.setblocking(False)

    def close(self) -> None:
        """The fork server ends by itself when its channel closes."""
        self._channel.close()


def early_environment(spec: ReleaseSpec) -> dict[str, str]:
    return {name: value for name, value in spec.app.env.items() if name.startswith(EARLY_VARIABLES)}


def launch_key(python: str | None, environment: Mapping[str, str]) -> LaunchKey:
    return (python or sys.executable, tuple(sorted(environment.items())))


def _bootstrap() -> str:
    """Code for ``python -c``: our packages come last, so that a release's own versions win."""
    package_parent = str(Path(__file__).resolve().parents[2])
    extra = [package_parent, *(entry for entry in sys.path if entry and "site-packages" in entry)]
    return (
        f"import sys; sys.path += [p for p in {extra!r} if p not in sys.path]; "
        "from oatie_ops.supervisor.forkserver import main; main(int(sys.argv[1]), int(sys.argv[2]))"
    )
