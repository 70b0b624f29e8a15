"""``{ type = "command", run = ["check_mail", "-w", "5"], exit_codes = "nagios" }``: a program's exit code.

``plain``: 0 passes, all else fails. ``nagios``: 0 pass, 1 warn, 2 fail, else unknown (Monitoring Plugins
Development Guidelines). It runs in its own process group, which is killed at the deadline.
"""

from __future__ import annotations

import asyncio
import os
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
            assert process.stdout is not None
            output = process.stdout.read(MAX_OUTPUT_BYTES)
            while process.stdout.read(65536):
                pass
            if sys.platform == "linux":
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            else:
                process.wait()
            group.ended()
            return process.wait(), output.decode("utf-8", "replace")


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def build(spec: CheckSpec, tools: Tools) -> Check:
    argv = tuple(str(word) for word in spec.options.get("run", ()))
    if not argv:
        raise CheckUnusable('a command check needs run, such as ["./check.sh"]')
    nagios = spec.options.get("exit_codes", "plain") == "nagios"
    return CommandCheck(spec, tools, argv, tools.settings.root, nagios)
