"""``{ type = "command", run = ["check_mail", "-w", "5"], exit_codes = "nagios" }``: a program's exit code.

``plain``: 0 passes, all else fails. ``nagios``: 0 pass, 1 warn, 2 fail, else unknown (Monitoring Plugins
Development Guidelines). It runs in its own process group, which is killed at the deadline.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.model import CheckSpec, Result, Status

MAX_OUTPUT_BYTES = 4096
POLL_MILLISECONDS = 50
_NAGIOS: Mapping[int, Status] = {0: Status.PASS, 1: Status.WARN, 2: Status.FAIL}


class _Group:
    """The process group, shared by the thread that waits for it and the loop that may end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leader: int | None = None
        self._over = False

    def started(self, pid: int) -> None:
        with self._lock:
            self._leader = pid
            if self._over:
                _kill(pid)

    def kill(self) -> None:
        """The whole group, its children included; whatever is started later is killed at once."""
        with self._lock:
            self._over = True
            if self._leader is not None:
                _kill(self._leader)

    def ended(self) -> None:
        """Before the leader is collected: its number could be another's afterwards."""
        with self._lock:
            if self._leader is not None:
                _kill(self._leader)
            self._leader = None


@dataclass(frozen=True)
class CommandCheck:
    spec: CheckSpec
    tools: Tools
    argv: tuple[str, ...]
    directory: Path
    nagios: bool

    async def run(self, attempt: Attempt) -> Result:
        attempt.waiting_for = f"running {self.argv[0]}"
        group = _Group()
        try:
            code, output = await self.tools.threads.call(self.spec.key, lambda: self._finish(group), attempt)
        except asyncio.CancelledError:
            group.kill()
            raise
        except (FileNotFoundError, PermissionError) as error:
            return Result(Status.UNKNOWN, f"{self.argv[0]} cannot be run: {error.strerror}")
        return self.judge(code, output)

    def judge(self, code: int, output: str) -> Result:
        """``code`` below zero: ended by that signal."""
        ended = f"was ended by signal {-code}" if code < 0 else f"exited with {code}"
        # The part behind the bar is performance data for machines.
        said = output.partition("|")[0].strip() if self.nagios else output.strip()
        first = said.splitlines()[0].strip() if said else f"{self.argv[0]} {ended}"
        if self.nagios:
            return Result(_NAGIOS.get(code, Status.UNKNOWN), first, float(code), "exit code")
        if code == 0:
            return Result(Status.PASS, first, 0.0, "exit code")
        shown = first if first.endswith(ended) else f"{self.argv[0]} {ended}: {first}"
        return Result(Status.FAIL, shown, float(code), "exit code")

    def _finish(self, group: _Group) -> tuple[int, str]:
        with subprocess.Popen(
            self.argv,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            group.started(process.pid)
            output = _output(process)
            group.ended()
            return process.wait(), output.decode("utf-8", "replace")


def _output(process: subprocess.Popen[bytes]) -> bytes:
    """The beginning of it, once the program itself has ended.

    What it has left running with a session of its own may hold the pipe open for ever, and is not waited for.
    """
    assert process.stdout is not None
    pipe, kept = process.stdout.fileno(), bytearray()
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    end = _end_of(process)
    if end is not None:
        poller.register(end, select.POLLIN)
    try:
        ended = False
        while True:
            ready = [
                fd for fd, _ in poller.poll(0 if ended else None if end is not None else POLL_MILLISECONDS)
            ]
            data = os.read(pipe, 65536) if pipe in ready else b""
            kept += data[: MAX_OUTPUT_BYTES - len(kept)]
            if ended and (not data or len(kept) == MAX_OUTPUT_BYTES):
                return bytes(kept)
            if not data and pipe in ready:
                poller.unregister(pipe)
            ended = ended or _has_ended(process)
    finally:
        if end is not None:
            os.close(end)


def _end_of(process: subprocess.Popen[bytes]) -> int | None:
    """A descriptor that can be read when it has ended (Linux 5.3); None: it has to be looked for."""
    if sys.platform == "linux":
        with suppress(OSError):
            return os.pidfd_open(process.pid)
    return None


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    if sys.platform == "linux":  # not collected yet: its number still is its group's
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    return process.poll() is not None


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def build(spec: CheckSpec, tools: Tools) -> Check:
    argv = tuple(str(word) for word in spec.options.get("run", ()))
    if not argv:
        raise CheckUnusable('a command check needs run, such as ["./check.sh"]')
    nagios = spec.options.get("exit_codes", "plain") == "nagios"
    return CommandCheck(spec, tools, argv, tools.settings.root, nagios)
