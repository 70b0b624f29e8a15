"""Has a database been written to since it was last read? Two calls of stat(2) instead of two queries."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

# Two writes within one tick of the file system's clock have one time: what is younger may change unseen.
SETTLED_SECONDS = 2.0

Mark = tuple[tuple[int, int, int] | None, ...]


class Changed:
    """``clock``: epoch seconds, as the times of files."""

    def __init__(self, database: Path, clock: Callable[[], float] = time.time) -> None:
        # In WAL mode a commit is written to the second one, a checkpoint to the first.
        self._files = (database, database.with_name(f"{database.name}-wal"))
        self._clock = clock
        self._mark: Mark | None = None

    def since_last(self) -> bool:
        """True the first time, and where it cannot be told."""
        mark = tuple(map(_mark, self._files))
        youngest = max((each[0] for each in mark if each is not None), default=0) / 1e9
        settled = abs(self._clock() - youngest) > SETTLED_SECONDS
        changed = mark != self._mark
        self._mark = mark if settled else None
        return changed

    def forget(self) -> None:
        """What was to be read could not be read."""
        self._mark = None


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
