"""The supervisor's end of a fork server (`oatie_ops.supervisor.forkserver`)."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any

from oatie_ops._version import __version__
from oatie_ops.supervisor.prestart import spawn_fork_server
from oatie_ops.supervisor.spec import ReleaseSpec

# Read by the interpreter or the loader before any of our code runs, so they cannot be set after a fork.
EARLY_VARIABLES = ("PYTHON", "LD_", "DYLD_", "MALLOC_", "GLIBC_TUNABLES", "OPENSSL_CONF", "SSL_CERT")


# Its imports, on a cold disk and a busy machine.
FORK_TIMEOUT_SECONDS = 60.0

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
        channel.setblocking(False)
        self._turn = asyncio.Lock()

    @classmethod
    def start(cls, python: str | None, early_environment: Mapping[str, str]) -> ForkServer:
        """Starts at once and does not wait; the first `fork` waits until it has imported the server."""
        channel, pid = spawn_fork_server(python or sys.executable, {**os.environ, **early_environment})
        return cls(channel, pid, launch_key(python, early_environment))

    @classmethod
    def started_early(cls, channel: socket.socket, pid: int) -> ForkServer:
        return cls(channel, pid, launch_key(None, {}))

    async def fork(self, order: Mapping[str, Any], fds: Mapping[str, int]) -> int:
        """The pid of a new worker. Raises `LaunchFailed` if the fork server is gone."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            try:
                self._send(order, fds)
                answer = b""
                while not answer.endswith(b"\n"):
                    async with asyncio.timeout(FORK_TIMEOUT_SECONDS):
                        data = await loop.sock_recv(self._channel, 4096)
                    if not data:
                        raise LaunchFailed("the fork server ended")
                    answer += data
            except OSError as error:  # TimeoutError is one
                raise LaunchFailed(f"the fork server does not answer ({error})") from error
        told = json.loads(answer)
        if "upgraded" in told:
            raise LaunchFailed(
                f"oatie was upgraded to {told['upgraded']} under this supervisor, which is {__version__}: "
                "`oatie stop`, then `oatie start`"
            )
        return int(told["pid"])

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
    return {name: value for name, value in spec.app.open_env.items() if name.startswith(EARLY_VARIABLES)}


def launch_key(python: str | None, environment: Mapping[str, str]) -> LaunchKey:
    return (python or sys.executable, tuple(sorted(environment.items())))
