"""The supervisor's end of its warden (`oatie_ops.supervisor.warden`)."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("warden.py")


class Guarded:
    """Process groups that must not outlive this process. `close` is the orderly end: nothing is killed."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._write_end = -1
        self.pid = 0
        self.closed = False
        self.start()

    def start(self) -> None:
        """Once at the beginning, and again whenever the warden itself has ended."""
        if self._write_end >= 0:
            os.close(self._write_end)
        read_end, self._write_end = os.pipe()
        argv = [sys.executable, "-I", "-S", str(SCRIPT)]
        actions = [(os.POSIX_SPAWN_DUP2, read_end, 0)]
        self.pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions)
        os.close(read_end)
        for group in self._groups:
            self._tell(f"+{group}\n")

    def add(self, group: int) -> None:
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def discard(self, group: int) -> None:
        if group in self._groups:
            self._groups.discard(group)
            self._tell(f"-{group}\n")

    def close(self) -> None:
        for group in list(self._groups):
            self.discard(group)
        os.close(self._write_end)
        self.closed = True

    def _tell(self, line: str) -> None:
        # A warden that has just ended is replaced, and told all groups then.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._write_end, line.encode())
