"""Between the check loop and the store: remembers, recalls, and looks for maintenance windows.

The store may be locked, full or gone. Then the checks go on, nothing waits, what is to be written is kept
(bounded) for the next try, and `problem` says so; the check `store` of the service `system` shows it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oatie_ops.health import maintenance
from oatie_ops.health.standing import Maintenance, Transition
from oatie_ops.health.track import KEEP_TRANSITIONS
from oatie_ops.store import Store, StoreError
from oatie_ops.store.health import TransitionRow

# A window that another process sets is seen after this time.
LOOK_SECONDS = 2.0
# The check loop must not be kept from ending, nor its first results from coming, by a locked database.
BUSY_TIMEOUT_SECONDS = 0.5
KEEP_WAITING = 1_000


@dataclass(frozen=True)
class Recalled:
    """What the store holds. ``tracks``: by service, the counts and the latest transitions (newest first)."""

    tracks: Mapping[str, tuple[Mapping[str, Any], tuple[Transition, ...]]] = field(default_factory=dict)
    windows: tuple[Maintenance, ...] = ()


class Keeper:
    """Its methods block and open a `Store` of their own: call them in a thread, one at a time.

    `add` and `problem` are for the thread of the check loop.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._waiting: deque[TransitionRow] = deque(maxlen=KEEP_WAITING)
        self._unsaved: Mapping[str, Mapping[str, Any]] = {}
        self._seen: object = None
        self.problem = ""
        self.recalled = False

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    def add(self, service: str, change: Transition) -> None:
        self._waiting.append(
            TransitionRow(
                0, change.at, service, change.before, change.after, change.output, change.consequence_of
            )
        )

    def recall(self, services: Iterable[str], *, forget_others: bool = False) -> Recalled | None:
        """None where the store cannot be read; `problem` tells why.

        ``forget_others``: what is kept of services that are declared no longer is deleted.
        """
        names = list(services)
        try:
            with self._open() as store:
                saved = store.health.tracks()
                found = {name: (saved.get(name, (0.0, {}))[1], _latest(store, name)) for name in names}
                windows = maintenance.lately(store)
                gone = [name for name in saved if name not in found]
                if gone and forget_others:
                    store.health.forget(gone)
        except (StoreError, OSError) as error:
            self._trouble(error)
            return None
        self.problem = ""
        return Recalled(found, windows)

    def save(self, tracks: Mapping[str, Mapping[str, Any]]) -> None:
        """Counts of these services, and the transitions that wait. What fails is kept for the next time."""
        batch = list(self._waiting)
        tracks = tracks or self._unsaved
        try:
            with self._open() as store:
                store.health.save(tracks, batch)
        except (StoreError, OSError) as error:
            self._trouble(error)
            self._unsaved = tracks
            return
        self.problem, self._unsaved = "", {}
        for row in batch:
            # Meanwhile the loop may have pushed the oldest out.
            if self._waiting and self._waiting[0] is row:
                self._waiting.popleft()

    def look(self) -> tuple[Maintenance, ...] | None:
        """The windows; None where nothing was written since the last look, or nothing can be read."""
        stamp = self._stamp()
        if stamp == self._seen and not self.problem:
            return None
        try:
            with self._open() as store:
                windows = maintenance.lately(store)
        except (StoreError, OSError) as error:
            self._trouble(error)
            return None
        self._seen = stamp
        return windows

    def _open(self) -> Store:
        return Store.open(self._database, busy_timeout_seconds=BUSY_TIMEOUT_SECONDS)

    def _stamp(self) -> object:
        """Changes whenever somebody writes: a look costs two stat(2) calls most of the time."""
        found: list[tuple[int, int, int] | None] = []
        for path in (self._database, self._database.with_name(f"{self._database.name}-wal")):
            try:
                info = os.stat(path)  # noqa: PTH116 - half the cost of Path.stat, every two seconds
            except OSError:
                found.append(None)
            else:
                found.append((info.st_ino, info.st_mtime_ns, info.st_size))
        return found

    def _trouble(self, error: StoreError | OSError) -> None:
        self.problem = f"{error.what}: {error.why}" if isinstance(error, StoreError) else str(error)


def _latest(store: Store, service: str) -> tuple[Transition, ...]:
    rows = store.health.transitions(service, limit=KEEP_TRANSITIONS)
    return tuple(Transition(r.at, r.before, r.after, r.output, r.consequence_of) for r in rows)
