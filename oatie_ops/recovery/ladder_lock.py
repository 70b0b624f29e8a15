"""One recovery at a time on a host: between a supervisor and a command that does it itself.

The kernel's flock(2) goes away with its process, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from oatie_ops.errors import Locked


@contextlib.contextmanager
def recovery_lock(path: Path) -> Iterator[None]:
    """Raises `Locked` at once where somebody else repairs something."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(
                "another recovery is under way here",
                why="one thing is repaired at a time",
                fix="wait for it to end; `oatie recover --history` shows it",
            ) from None
        yield
    finally:
        os.close(descriptor)
