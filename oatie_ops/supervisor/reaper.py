"""Collects ended children, as a parent, as a subreaper, and as PID 1."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

from oatie_ops.supervisor.workers import Ended

# A child that we did not announce may belong to a subprocess.run in one of our threads, which collects
# it itself at once. What is still there after this time is an orphan that was given to us.
ORPHAN_GRACE_SECONDS = 2.0


class Reaper:
    """Call `install` on the loop's thread; `expect` every child that we start ourselves."""

    def __init__(self) -> None:
        self._expected: dict[int, Callable[[Ended], None]] = {}
        self._early: dict[int, Ended] = {}
        self._orphans: dict[int, float] = {}
        self._orphan_check: asyncio.TimerHandle | None = None

    def install(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.collect)

    def expect(self, pid: int, callback: Callable[[Ended], None]) -> None:
        if pid in self._early:
            asyncio.get_running_loop().call_soon(callback, self._early.pop(pid))
        else:
            self._expected[pid] = callback
            self.collect()

    def collect(self) -> None:
        for pid in list(self._expected):
            ended = _wait(pid)
            if ended is not None:
                self._expected.pop(pid)(ended)
        self._collect_orphans()

    def _collect_orphans(self) -> None:
        if not hasattr(os, "waitid"):
            return
        try:
            zombie = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if zombie is None or zombie.si_pid in self._expected:
            return
        now = time.monotonic()
        seen = self._orphans.setdefault(zombie.si_pid, now)
        if now - seen >= ORPHAN_GRACE_SECONDS:
            self._orphans.pop(zombie.si_pid)
            ended = _wait(zombie.si_pid)
            if ended is not None:
                self._early[zombie.si_pid] = ended
        if self._orphan_check is None:
            self._orphan_check = asyncio.get_running_loop().call_later(ORPHAN_GRACE_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._orphan_check = None
        self._early.clear()
        self.collect()


def _wait(pid: int) -> Ended | None:
    """The status of an ended child; None while it runs. Children of others have no status for us."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None if _exists(pid) else Ended(None, None)
    return Ended.from_wait_status(status) if found else None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
