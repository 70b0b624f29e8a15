"""``{ type = "process", pid_file = "/run/x.pid" }``, or ``name = "postgres"``: does it run?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.model import CheckSpec, Result, Status


@dataclass(frozen=True)
class ProcessCheck:
    spec: CheckSpec
    tools: Tools
    pid_file: Path | None
    name: str

    async def run(self, attempt: Attempt) -> Result:
        attempt.waiting_for = "looking at the processes"
        # Walking the process table takes milliseconds, and a pid file may lie on a dead file system.
        return await self.tools.threads.call(self.spec.key, self._look, attempt)

    def _look(self) -> Result:
        if self.pid_file is not None:
            return by_pid_file(self.pid_file)
        return by_name(self.name)


def by_pid_file(path: Path) -> Result:
    import psutil

    try:
        pid = int(path.read_text()[:32].split()[0])
    except FileNotFoundError:
        return Result(Status.FAIL, f"there is no pid file {path}")
    except (OSError, ValueError, IndexError) as error:
        return Result(Status.UNKNOWN, f"{path} does not tell a process id ({type(error).__name__})")
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return Result(Status.FAIL, f"process {pid} of {path} has ended (zombie)")
        return Result(Status.PASS, f"process {pid} ({process.name()}) runs")
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return Result(Status.FAIL, f"no process {pid} runs, though {path} names it")
    except psutil.AccessDenied:
        return Result(Status.PASS, f"process {pid} runs")


def by_name(name: str) -> Result:
    import psutil

    found = [
        process.pid
        for process in psutil.process_iter(["name", "status"])
        if process.info["name"] == name and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
    if not found:
        return Result(Status.FAIL, f"no process is named {name!r}", 0.0, "processes")
    return Result(Status.PASS, f"{len(found)} running as {name!r}", float(len(found)), "processes")


def build(spec: CheckSpec, tools: Tools) -> Check:
    pid_file, name = spec.options.get("pid_file"), spec.options.get("name")
    if not pid_file and not name:
        raise CheckUnusable("a process check needs pid_file or name")
    path = tools.settings.root / str(pid_file) if pid_file else None
    return ProcessCheck(spec, tools, path, str(name or ""))
