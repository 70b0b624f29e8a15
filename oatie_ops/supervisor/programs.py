"""A worker that is any program: told its port by ``PORT``, or handed the socket by ``LISTEN_FDS``.

Such a program cannot be told to start or stop accepting, so it is gated as one process and serves as
another: the first on a private port, the second on the public one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from oatie_ops.supervisor.listen import PublicSocket, bind_private, free_port
from oatie_ops.supervisor.prestart import SUPERVISORS_OWN
from oatie_ops.supervisor.probe import ProbeResult, probe
from oatie_ops.supervisor.reaper import group_lives
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.workers import Ended, Worker, WorkerState

FIRST_LISTEN_FD = 3
SECRETS_FD = 9
# Out of the way of the descriptors that a program is given.
FIRST_OWN_FD = 64
SHIM = Path(__file__).with_name("exec_shim.py")
PROBE_SECONDS = 0.05


class ProgramWorker(Worker):
    """``attach_output`` gets the read ends of the program's stdout and stderr."""

    def __init__(
        self,
        worker_id: int,
        generation: int,
        spec: ReleaseSpec,
        slot: int,
        *,
        environment: Mapping[str, str],
        public_port: int,
        attach_output: Callable[[int, int], None],
        expect: Callable[[int, Callable[[Ended], None]], None],
    ) -> None:
        super().__init__(worker_id, generation, spec, slot)
        self._environment = environment
        self._public_port = public_port
        self._attach_output = attach_output
        self._expect = expect
        self._gate_pid = 0
        self._gated_seconds = 0.0
        self._outlasting: asyncio.Task[None] | None = None
        self.activation = spec.app.socket == "activation"
        self.zero_drop = self.activation

    def boot(self) -> None:
        """Starts the process that will be gated."""
        private = bind_private() if self.activation else None
        try:
            if private is not None:
                private.listen(16)
                self.port = int(private.getsockname()[1])
            else:
                self.port = free_port()
            self.pid = self._gate_pid = self._spawn(self.port, private)
        finally:
            if private is not None:
                private.close()
        self.booted.set()

    async def accept(self, public: PublicSocket) -> None:
        """Starts the process that serves."""
        gate_pid, self._gate_pid = self._gate_pid, 0
        self._gated_seconds = self._gated_seconds or time.monotonic() - self.started_monotonic
        if gate_pid:
            self.pid = 0
            await _end_group(gate_pid, self.spec.app.stop_timeout_seconds)
        self.expected_end = False
        self.exited.clear()
        self.drained.clear()
        self.ended = None
        self.port = self._public_port
        self.pid = self._spawn(self.port, public.listen() if self.activation else None)
        await self._wait_until_serving()
        self.state = WorkerState.SERVING
        self._served_first()

    async def drain(self) -> None:
        """SIGTERM: it finishes what it has. It cannot be asked to come back, only be started anew."""
        self.stop()
        self.state = WorkerState.DRAINING

    def stop(self) -> None:
        self.expected_end = True
        if self.alive:
            self.state = WorkerState.STOPPING
            self.kill(signal.SIGTERM)

    async def _wait_until_serving(self) -> None:
        if self.activation:
            # Who answers on a shared socket cannot be told; the queue is the kernel's and nothing is
            # lost meanwhile, so it gets the time that its gate showed it to need.
            deadline = time.monotonic() + min(self._gated_seconds, self.spec.app.ready_timeout_seconds)
            while self.alive and time.monotonic() < deadline:
                await asyncio.sleep(PROBE_SECONDS)
        else:
            await self._probe_until_ready()
        if not self.alive:
            raise ChildProcessError(f"{self.spec.app.command} {self.ended} on the public port")

    async def _probe_until_ready(self) -> None:
        app = self.spec.app
        deadline = time.monotonic() + app.ready_timeout_seconds
        last: ProbeResult | None = None
        while self.alive and time.monotonic() < deadline:
            last = await probe(self.port, app.ready or "/", app.ready_host, 2.0)
            if last.ready(declared=app.ready is not None):
                return
            await asyncio.sleep(PROBE_SECONDS)
        if self.alive:
            raise TimeoutError(
                f"not ready on the public port: {last.error or last.status if last else 'never asked'}"
            )

    def _spawn(self, port: int, listener: socket.socket | None) -> int:
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        self._attach_output(out_read, err_read)
        actions: list[tuple[int, int | str, int] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, out_write, 1),
            (os.POSIX_SPAWN_DUP2, err_write, 2),
        ]
        if listener is not None:
            actions.append((os.POSIX_SPAWN_DUP2, listener.fileno(), FIRST_LISTEN_FD))
        assert self.spec.app.command is not None
        argv = [
            sys.executable,
            *("-I", "-S", str(SHIM)),
            *(str(os.getpid()), str(self.spec.directory), "1" if listener is not None else "0"),
            *self.spec.app.command,
        ]
        inherited = {name: value for name, value in os.environ.items() if name not in SUPERVISORS_OWN}
        environment = {**inherited, **self._environment, "PORT": str(port)}
        if self.spec.python is not None:
            environment["PATH"] = f"{Path(self.spec.python).parent}{os.pathsep}{environment.get('PATH', '')}"
        ends = [out_write, err_write]
        if self.spec.app.secret_env:
            variable, descriptor = _open_secrets(self.spec.app.secret_env)
            environment[variable] = str(SECRETS_FD)
            actions.append((os.POSIX_SPAWN_DUP2, descriptor, SECRETS_FD))
            ends.append(descriptor)
        try:
            pid = os.posix_spawn(sys.executable, argv, environment, file_actions=actions)
        finally:
            for end in ends:
                os.close(end)
        self.started_at = time.time()
        self.started_monotonic = time.monotonic()
        self._expect(pid, lambda ended: self._process_ended(pid, ended))
        return pid

    def _process_ended(self, pid: int, ended: Ended) -> None:
        if pid != self.pid:
            return
        if self.expected_end and group_lives(pid):
            self._outlasting = asyncio.get_running_loop().create_task(self._outlast(pid, ended))
        else:
            self.finish(ended)

    async def _outlast(self, pid: int, ended: Ended) -> None:
        """A wrapper (``sh -c``, ``npm start``) ends at once; what it wrapped may still finish requests."""
        deadline = time.monotonic() + self.spec.app.drain_seconds
        while group_lives(pid) and time.monotonic() < deadline:
            await asyncio.sleep(PROBE_SECONDS)
        self.finish(ended)


def _open_secrets(values: Mapping[str, str]) -> tuple[str, int]:
    """The variable that names the descriptor, and the descriptor."""
    from oatie_ops.secrets import Secret
    from oatie_ops.secrets.handover import DESCRIPTOR_VARIABLE, open_descriptor

    opened = open_descriptor({name: Secret(value) for name, value in values.items()})
    try:
        return DESCRIPTOR_VARIABLE, fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, FIRST_OWN_FD)
    finally:
        os.close(opened)


async def _end_group(pid: int, timeout_seconds: float) -> None:
    """SIGTERM, then SIGKILL, to a process group; returns when its leader is gone."""
    for number, seconds in ((signal.SIGTERM, timeout_seconds), (signal.SIGKILL, timeout_seconds)):
        try:
            os.killpg(pid, number)
        except (ProcessLookupError, PermissionError):
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(0.02)
