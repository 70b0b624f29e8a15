"""``startup_optimizer``: an application's own checkpoints, and what is known of all its starts."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from oatie_ops.errors import OatieError, UsageError
from oatie_ops.paths import state_paths
from oatie_ops.performance.phases import Dependency, Phase, Start, to_json
from oatie_ops.performance.samples import samples_path
from oatie_ops.performance.startstats import StartStats, read_stats
from oatie_ops.store.errors import StoreError
from oatie_ops.store.samplefile import SampleFile
from oatie_ops.store.starts import StartRow, Starts

# A profile that is never finished is forgotten, the oldest first.
MAX_OPEN = 100
MAX_CHECKPOINTS = 1000
MAX_NAME = 200


class NoSuchProfile(OatieError):
    """The id is not of a profile that is under way."""


@dataclass(frozen=True)
class Checkpoint:
    """``seconds`` since the checkpoint before; ``cpu_seconds`` of them this process was running."""

    name: str
    at_seconds: float
    seconds: float
    cpu_seconds: float | None
    dependency: str | None = None


@dataclass(frozen=True)
class StartupProfile:
    """``bottleneck`` is the checkpoint that took longest; None without one."""

    id: str
    name: str
    started_at: float
    total_seconds: float
    checkpoints: tuple[Checkpoint, ...]

    @property
    def bottleneck(self) -> Checkpoint | None:
        return max(self.checkpoints, key=lambda one: one.seconds, default=None)

    def as_dict(self) -> dict[str, Any]:
        slowest = self.bottleneck
        return {
            "id": self.id,
            "name": self.name,
            "started_at": self.started_at,
            "total_seconds": round(self.total_seconds, 6),
            "checkpoints": [dict(one.__dict__) for one in self.checkpoints],
            "bottleneck": None if slowest is None else slowest.name,
        }

    def as_start(self) -> Start:
        """As the starts of workers are kept: each checkpoint is a phase, each named dependency a wait."""
        phases = tuple(
            Phase(one.name, one.at_seconds - one.seconds, one.seconds, one.cpu_seconds)
            for one in self.checkpoints
        )
        waits = tuple(
            Dependency(one.dependency, one.at_seconds - one.seconds, one.seconds, True, one.dependency)
            for one in self.checkpoints
            if one.dependency
        )
        return Start(self.total_seconds, phases, waits, facts={"profile": self.id})


@dataclass
class _Open:
    name: str
    started_at: float
    began: float
    cpu: float | None
    checkpoints: list[Checkpoint] = field(default_factory=list)


class StartupOptimizer:
    """Safe to use from any thread; a checkpoint costs about a microsecond.

    ``own_process`` False: the checkpoints are another process's (they came over HTTP), so that the processor
    time of this one says nothing. ``store``: the file of the measurements; without it that of the project in
    the working directory, if it has one.
    """

    def __init__(
        self,
        *,
        store: Path | None = None,
        own_process: bool = True,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._own_process = own_process
        self._wall = wall
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._unkept: deque[StartRow] = deque(maxlen=MAX_OPEN)  # newest first, for want of a project

    def start_profiling(self, name: str) -> str:
        """The id of a new profile. Raises `UsageError`."""
        _check_name(name)
        profile = secrets.token_hex(8)
        with self._lock:
            while len(self._open) >= MAX_OPEN:
                del self._open[next(iter(self._open))]
            self._open[profile] = _Open(name, self._wall(), self._clock(), self._cpu())
        return profile

    def add_checkpoint(self, profile_id: str, name: str, dependency: str | None = None) -> Checkpoint:
        """``dependency``: the service that was waited for since the checkpoint before.

        Raises `NoSuchProfile` and `UsageError`.
        """
        now, cpu = self._clock(), self._cpu()
        _check_name(name)
        if dependency is not None:
            _check_name(dependency)
        with self._lock:
            profile = self._find(profile_id)
            if len(profile.checkpoints) >= MAX_CHECKPOINTS:
                raise UsageError(f"a profile has at most {MAX_CHECKPOINTS} checkpoints")
            at = now - profile.began
            before = profile.checkpoints[-1].at_seconds if profile.checkpoints else 0.0
            used = None if cpu is None or profile.cpu is None else cpu - profile.cpu
            checkpoint = Checkpoint(name, at, at - before, used, dependency)
            profile.cpu = cpu
            profile.checkpoints.append(checkpoint)
        return checkpoint

    def finish_profiling(self, profile_id: str) -> StartupProfile:
        """The whole profile; it is kept in the project's history. Raises `NoSuchProfile`."""
        now = self._clock()
        with self._lock:
            open_profile = self._find(profile_id)
            del self._open[profile_id]
        profile = StartupProfile(
            profile_id,
            open_profile.name,
            open_profile.started_at,
            now - open_profile.began,
            tuple(open_profile.checkpoints),
        )
        start = profile.as_start()
        row = StartRow(0, profile.started_at, "library", profile.name, start.seconds, to_json(start))
        if not self._kept(row):
            self._unkept.appendleft(row)
        return profile

    def get_startup_stats(self, name: str | None = None) -> StartStats:
        """Of all starts that are known: workers by release, profiles by name. Raises `StoreError`.

        Without a project these are the latest profiles of this process. ``name``: this release or
        profile alone.
        """
        found = read_stats(self._path(), tuple(self._unkept))
        if name is None:
            return found
        named = tuple(release for release in found.releases if release.release == name)
        return replace(found, total=sum(release.count for release in named), releases=named)

    def get_startup_recommendations(self) -> list[dict[str, Any]]:
        """What would make starts faster, the most helpful first.

        Each with ``kind``, ``title``, ``action``, ``saves_seconds`` (None: not known) and ``evidence``.
        Raises `StoreError`.
        """
        return [advice.as_dict() for advice in self.get_startup_stats().advice]

    def _kept(self, row: StartRow) -> bool:
        """A history that cannot be kept must not stop a start."""
        path = self._path()
        if not path.parent.is_dir():
            return False
        try:
            file = SampleFile(path)
        except (StoreError, OSError):
            return False
        try:
            Starts(file).add(row.at, row.kind, row.release, row.seconds, row.data)
        except StoreError:
            return False
        finally:
            file.close()
        return True

    def _path(self) -> Path:
        return self._store or samples_path(state_paths(Path.cwd()).home)

    def _cpu(self) -> float | None:
        return time.process_time() if self._own_process else None

    def _find(self, profile_id: str) -> _Open:
        found = self._open.get(profile_id)
        if found is None:
            raise NoSuchProfile(
                f"there is no profile {profile_id!r} under way",
                why="it was finished, or too many others were begun since",
                fix="begin one with start_profiling",
            )
        return found


# As the description of the API says it: the one set that everybody can check.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _check_name(name: str) -> None:
    if not name or len(name) > MAX_NAME or _CONTROL.search(name):
        raise UsageError(f"a name is text of 1 to {MAX_NAME} characters, none of them a control character")


startup_optimizer = StartupOptimizer()
