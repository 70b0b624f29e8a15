"""``{ type = "fds", warn = 80, fail = 95 }``: open files of the supervisor and its workers, and of the host.

A process that may open no more files accepts no more connections.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.thresholds import Thresholds, declared

HOST = Thresholds(warn_enter=80, warn_leave=75, fail_enter=95, fail_leave=90)
FILE_NR = Path("/proc/sys/fs/file-nr")


@dataclass(frozen=True)
class Use:
    whose: str
    open: int
    limit: int

    @property
    def percent(self) -> float:
        return 100.0 * self.open / self.limit


@dataclass(frozen=True)
class FdsCheck:
    spec: CheckSpec
    tools: Tools
    limits: Thresholds

    async def run(self, attempt: Attempt) -> Result:
        status = self.tools.app_status() if self.tools.app_status else {}
        pids = [worker["pid"] for worker in status.get("workers") or () if worker.get("pid")]
        attempt.waiting_for = "counting open files"
        found = await self.tools.threads.call(self.spec.key, lambda: uses(pids), attempt)
        return judge(found, attempt.previous, self.limits)


def judge(found: Iterable[Use], previous: Status, limits: Thresholds) -> Result:
    worst = max(found, key=lambda use: use.percent, default=None)
    if worst is None:
        return Result(Status.UNKNOWN, "this system does not tell how many files are open")
    output = f"{worst.whose}: {worst.open} of {worst.limit} files open ({worst.percent:.0f} %)"
    return Result(limits.status(previous, worst.percent), output, round(worst.percent, 1), "percent")


def uses(worker_pids: Iterable[int]) -> list[Use]:
    import os

    import psutil

    found = [use for use in (_process(os.getpid(), "oatie"), _host()) if use]
    for pid in worker_pids:
        try:
            use = _process(pid, f"worker {pid}")
        except (psutil.Error, OSError):
            continue  # it has ended meanwhile, or is another user's
        if use:
            found.append(use)
    return found


def _process(pid: int, whose: str) -> Use | None:
    import psutil

    process = psutil.Process(pid)
    if not hasattr(process, "rlimit"):
        return None  # macOS tells the limit of no other process
    limit, _ = process.rlimit(psutil.RLIMIT_NOFILE)
    return Use(whose, process.num_fds(), limit) if limit > 0 else None


def _host() -> Use | None:
    """proc(5): allocated, free, maximum."""
    try:
        allocated, _, maximum = FILE_NR.read_text().split()
    except (OSError, ValueError):
        return None
    return Use("the host", int(allocated), int(maximum))


def build(spec: CheckSpec, tools: Tools) -> Check:
    return FdsCheck(spec, tools, declared(spec, HOST))
