"""Collects ended children, as a parent, as a subreaper, and as PID 1."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from oatie_ops.identity import exists
from oatie_ops.supervisor.workers import Ended

# A child that we did not announce may belong to a subprocess.run in one of our threads, which collects
# it itself at once. What is still there after this time is an orphan that was given to us.
ORPHAN_GRACE_SECONDS = 2.0
# What `oatie_ops.recovery.rungs.command` sets.
RECOVERY_MARKER = b"OATIE_RECOVERY="


class Reaper:
    """Call `install` on the loop's thread; `expect` every child that we start ourselves."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._expected: dict[int, Callable[[Ended], None]] = {}
        self._orphans: dict[int, float] = {}
        self._orphan_check: asyncio.TimerHandle | None = None
        self._proc = proc

    def install(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.collect)

    def uninstall(self) -> None:
        """Before the loop ends. It closes the descriptor that signals are written to before it forgets them:

        a child that ends just then, as those do whose pipes were closed, would make the interpreter print a
        "Bad file descriptor" (set_wakeup_fd).
        """
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        if self._orphan_check is not None:
            self._orphan_check.cancel()
            self._orphan_check = None

    def expect(self, pid: int, callback: Callable[[Ended], None]) -> None:
        self._expected[pid] = callback
        self.collect()

    def expected(self) -> set[int]:
        return set(self._expected)

    def collect(self) -> None:
        for pid in list(self._expected):
            ended = _wait(pid)
            if ended is not None:
                self._expected.pop(pid)(ended)
        if self._orphan_check is None and self._somebody_elses():
            self._orphan_check = asyncio.get_running_loop().call_later(
                ORPHAN_GRACE_SECONDS / 2, self._collect_orphans
            )

    def _somebody_elses(self) -> bool:
        """Is there an ended child left that we did not start? Looks without collecting it (waitid(2))."""
        if sys.platform != "linux":
            return False  # orphans are given to nobody but the init process here
        try:
            return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return False

    def _collect_orphans(self) -> None:
        self._orphan_check = None
        now, seen = time.monotonic(), self._orphans
        zombies = [p for p, state in children(self._proc).items() if state == "Z" and p not in self._expected]
        self._orphans = {pid: seen.get(pid, now) for pid in zombies}
        for pid, since in list(self._orphans.items()):
            if now - since >= ORPHAN_GRACE_SECONDS / 2:
                _wait(pid)
                del self._orphans[pid]
        self.collect()


def children(proc: Path = Path("/proc")) -> dict[int, str]:
    """Our children, by birth or adoption, with their state; empty where there is no such file system.

    proc_pid_stat(5): the state and the parent stand behind the name, which may hold anything.
    """
    return {pid: state for pid, state, parent, _group in _processes(proc) if parent == os.getpid()}


def started_by_recovery(pid: int, proc: Path = Path("/proc")) -> bool:
    """Was it started by a command of a recovery ladder, whose marker is in its environment?

    Such a process is a service that the operator wants to run; it only came to us as an orphan.
    """
    try:
        return RECOVERY_MARKER in (proc / str(pid) / "environ").read_bytes()
    except OSError:
        return False


def group_lives(group: int, proc: Path = Path("/proc")) -> bool:
    """Has a process group a member that is more than a zombie?"""
    if proc.is_dir():
        return any(of == group and state != "Z" for _pid, state, _parent, of in _processes(proc))
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _processes(proc: Path) -> Iterator[tuple[int, str, int, int]]:
    """Pid, state, parent, group of everything that runs."""
    for entry in proc.iterdir() if proc.is_dir() else ():
        if entry.name.isdecimal():
            try:
                state, parent, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):
                continue  # it has just ended
            yield int(entry.name), state, int(parent), int(group)


def _wait(pid: int) -> Ended | None:
    """The status of an ended child; None while it runs. Children of others have no status for us."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None if exists(pid) else Ended(None, None)
    return Ended.from_wait_status(status) if found else None
