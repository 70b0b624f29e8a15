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
        read_end, self._write_end = os.pipe()
        argv = [sys.executable, "-I", "-S", str(SCRIPT)]
        actions = [(os.POSIX_SPAWN_DUP2, read_end, 0)]
        self.pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions)
        os.close(read_end)
        self._groups: set[int] = set()

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

    def _tell(self, line: str) -> None:
        # Without its warden a supervisor has the other two ropes left; that is no reason to stop serving.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._write_end, line.encode())
