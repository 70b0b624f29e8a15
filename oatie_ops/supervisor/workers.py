"""The supervisor's handle of one worker process: its state, its orders, its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from oatie_ops.records import dataclass
from oatie_ops.redaction import redact
from oatie_ops.supervisor.listen import PublicSocket
from oatie_ops.supervisor.spec import ReleaseSpec


class WorkerState(StrEnum):
    STARTING = "starting"  # booting or being gated
    READY = "ready"  # passed its gate, does not accept (a candidate or a spare)
    SERVING = "serving"
    DRAINING = "draining"  # accepts no more; its connections leave
    WARM = "warm"  # drained, kept until the release after it has proved itself
    STOPPING = "stopping"
    EXITED = "exited"


@dataclass(frozen=True)
class Ended:
    """How a process ended. Both None: its status went to somebody else (no subreaper on this system)."""

    code: int | None
    signal: int | None

    def __str__(self) -> str:
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            hint = " (killed; out of memory?)" if self.signal == signal.SIGKILL else ""
            return f"ended by {name}{hint}"
        return "ended" if self.code is None else f"ended with exit code {self.code}"

    @classmethod
    def from_wait_status(cls, status: int) -> Ended:
        if os.WIFSIGNALED(status):
            return cls(None, os.WTERMSIG(status))
        return cls(os.waitstatus_to_exitcode(status), None)


class Worker:
    """State that every kind of worker has. `PythonWorker` and `ProgramWorker` know how to be told things."""

    zero_drop = True

    def __init__(self, worker_id: int, generation: int, spec: ReleaseSpec, slot: int) -> None:
        self.id = worker_id
        self.generation = generation
        self.spec = spec
        self.slot = slot
        self.pid = 0
        self.port = 0
        self.state = WorkerState.STARTING
        self.started_at = time.time()
        self.began_monotonic = self.started_monotonic = time.monotonic()
        self.gated = False  # it passed its gate: an end after that is an end, not a failed boot
        self.ready_monotonic: float | None = None
        self.boot_error: dict[str, Any] | None = None
        self.ended: Ended | None = None
        self.expected_end = False
        self.max_requests = 0
        self.booted = asyncio.Event()
        self.drained = asyncio.Event()
        self.exited = asyncio.Event()
        # What its start told of itself, by event; times are monotonic (`oatie_ops.supervisor.starting`).
        self.reports: dict[str, dict[str, Any]] = {}
        self.on_start: Callable[[Worker, str], None] = lambda _worker, _event: None
        self.on_exit: Callable[[Worker], None] = lambda _worker: None
        self.on_terminating: Callable[[Worker], None] = lambda _worker: None

    @property
    def alive(self) -> bool:
        return not self.exited.is_set()

    async def accept(self, public: PublicSocket) -> None:
        """Lets it serve. Raises ChildProcessError or TimeoutError where it cannot."""
        raise NotImplementedError

    async def drain(self) -> None:
        raise NotImplementedError

    def look(self) -> bool:
        """Makes it look at the switches at once. False: this kind of worker does not read them."""
        return False

    def stop(self) -> None:
        """Asks for a graceful end."""
        raise NotImplementedError

    def kill(self, sig: int = signal.SIGKILL) -> None:
        """To the worker's whole process group, so that its own children go with it."""
        if self.pid and self.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, sig)

    def dump_stack(self, sig: int) -> None:
        """Makes the worker write the stacks of its threads to its log (faulthandler)."""
        if self.pid and self.alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, sig)

    async def wait_booted(self, timeout_seconds: float) -> bool:
        """True once it says so; False when it ended first. Raises TimeoutError."""
        ended = asyncio.ensure_future(self.exited.wait())
        booted = asyncio.ensure_future(self.booted.wait())
        try:
            await asyncio.wait({ended, booted}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            booted.cancel()
        if self.booted.is_set() and self.alive:
            return True
        if not self.alive or self.boot_error is not None:
            return False
        raise TimeoutError

    def note(self, event: str, **facts: Any) -> None:
        """A moment of its start that is seen from here; the first of its kind counts."""
        self.reports.setdefault(event, {"at": time.monotonic(), **facts})

    def _served_first(self) -> None:
        if self.ready_monotonic is None:
            self.ready_monotonic = time.monotonic()
            self.note("serving")
            self.on_start(self, "serving")

    def finish(self, ended: Ended) -> None:
        """Called once, by whoever learned of the end first."""
        if not self.alive:
            return
        self.ended = ended
        self.state = WorkerState.EXITED
        self.exited.set()
        self.drained.set()
        # What the worker started itself must not outlive it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.on_exit(self)


class PythonWorker(Worker):
    """A worker forked from a fork server; orders and reports are JSON lines on ``control``."""

    def attach(self, control: socket.socket, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port
        self._control = control
        self._buffer = b""
        self._accepting = asyncio.Event()
        self._draining = asyncio.Event()
        control.setblocking(False)
        asyncio.get_running_loop().add_reader(control, self._read)

    async def accept(self, public: PublicSocket) -> None:
        self._accepting.clear()
        self._order("accept", public.listen(deferred=True))
        await self._acknowledged(self._accepting)
        if not self.alive:
            raise ChildProcessError(f"worker {self.id} (pid {self.pid}) {self.ended}")
        self.state = WorkerState.SERVING
        self.drained.clear()
        self._served_first()

    async def drain(self) -> None:
        if self.state in (WorkerState.STOPPING, WorkerState.EXITED):
            return
        self._draining.clear()
        self._order("drain")
        await self._acknowledged(self._draining)
        self.state = WorkerState.DRAINING

    def look(self) -> bool:
        self._order("look")
        return True

    def stop(self) -> None:
        self.expected_end = True
        if self.alive:
            self.state = WorkerState.STOPPING
            self._order("stop")

    def finish(self, ended: Ended) -> None:
        if self.alive:
            with contextlib.suppress(ValueError, OSError):
                asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()
        super().finish(ended)

    async def _acknowledged(self, event: asyncio.Event, timeout_seconds: float = 5.0) -> None:
        """An order is obeyed by the worker's event loop; a blocked loop or a dead worker does not answer."""
        waits = {asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.exited.wait())}
        try:
            done, _ = await asyncio.wait(waits, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not done:
            raise TimeoutError(f"worker {self.id} (pid {self.pid}) does not answer")

    def _order(self, order: str, listener: socket.socket | None = None) -> None:
        """The public socket travels with the order to accept, and only then (SCM_RIGHTS, unix(7))."""
        rights = [] if listener is None else [listener.fileno()]
        line = json.dumps({"order": order}).encode() + b"\n"
        if self.alive:
            # A worker that has just died is noticed by its end, not here.
            with contextlib.suppress(OSError):
                socket.send_fds(self._control, [line], rights)

    def _read(self) -> None:
        try:
            data = self._control.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._control)
            # The status normally comes with SIGCHLD; where it goes to somebody else, this is all we learn.
            asyncio.get_running_loop().call_later(1.0, self.finish, Ended(None, None))
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._report(json.loads(line))

    def _report(self, report: dict[str, Any]) -> None:
        event = report["event"]
        self.reports.setdefault(event, report)
        if event == "booted":
            self.booted.set()
        elif event == "boot-failed":
            self.boot_error = {**report, "error": redact(str(report["error"]))}
        elif event == "accepting":
            self._accepting.set()
        elif event == "draining":
            self._draining.set()
        elif event == "drained":
            if self.state == WorkerState.DRAINING:
                self.state = WorkerState.WARM
            self.drained.set()
        elif event == "terminating":
            self.state = WorkerState.STOPPING
            self.on_terminating(self)
        elif event == "first-request":
            self.on_start(self, event)
