"""Looks at the machine once a second, in a thread of its own, and hands what it measured to the store.

The store may be locked, full or gone: then what was measured waits (ten minutes of it), ``problem`` says
why, and the looking goes on.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from oatie_ops.performance.clock import SteadyClock
from oatie_ops.performance.measure import measure
from oatie_ops.performance.measured import Measured
from oatie_ops.performance.readings import Look, Running, Source
from oatie_ops.performance.samples import Samples
from oatie_ops.performance.tiers import DEFAULT_KEEP, Keep
from oatie_ops.store.errors import StoreError
from oatie_ops.store.samplefile import SampleFile

INTERVAL_SECONDS = 1.0
# What is dear to find out (open files, children, the file system) is looked at every so many looks.
THOROUGH_EVERY = 10
REOPEN_SECONDS = 10.0

log = logging.getLogger(__name__)


def system_source(disk: Path) -> Source:
    """For the system that this runs on."""
    if sys.platform == "linux":
        from oatie_ops.performance.procfs import ProcSource

        return ProcSource(disk)
    from oatie_ops.performance.portable import PsutilSource

    return PsutilSource(disk)


class Looker:
    """Makes looks and measures between them; keeps the files of its source open. For one thread."""

    def __init__(
        self, source: Source, running: Callable[[], Running], bounds_seconds: Sequence[float]
    ) -> None:
        self._source = source
        self._running = running
        self._bounds = bounds_seconds
        self._before: Look | None = None
        self._children: Mapping[int, tuple[int, ...]] = {}
        self._looks = 0

    @property
    def totals(self) -> Mapping[str, float]:
        return self._before.machine.counters if self._before else {}

    def look(self) -> dict[str, float]:
        thorough = self._looks % THOROUGH_EVERY == 0
        self._looks += 1
        running = self._running()
        pids = [worker.pid for worker in running.workers if worker.pid]
        if thorough:
            self._children = self._source.children(pids)
        below = [child for children in self._children.values() for child in children]
        processes = {}
        for pid in dict.fromkeys([running.supervisor, *pids, *below]):
            found = self._source.process(pid, thorough=thorough)
            if found is not None:
                processes[pid] = found
        now = Look(
            time.monotonic(),
            self._source.machine(thorough=thorough),
            self._source.group(),
            running,
            processes,
            self._children,
        )
        before, self._before = self._before, now
        if before is not None:
            self._source.forget(before.processes.keys() - processes.keys())
        return measure(before, now, self._bounds)

    def close(self) -> None:
        self._source.close()


class Sampler:
    """``running`` is called in the sampler's thread and must be quick. ``samples`` None: nothing is stored.

    ``latest`` may be read from any thread.
    """

    def __init__(
        self,
        running: Callable[[], Running],
        disk: Path,
        samples: Path | None,
        *,
        keep: Keep = DEFAULT_KEEP,
        bounds_seconds: Sequence[float] = (),
        source: Callable[[Path], Source] = system_source,
        clock: SteadyClock | None = None,
        interval_seconds: float = INTERVAL_SECONDS,
        beside: Callable[[SampleFile], None] = lambda _file: None,
    ) -> None:
        """``beside`` writes what else belongs into the file, after each look."""
        self._beside = beside
        self.latest = Measured(0.0)
        self.problem = ""
        self._looker = Looker(source(disk), running, bounds_seconds)
        self._path = samples
        self._keep = keep
        self._clock = clock or SteadyClock()
        self._interval = interval_seconds
        self._store: Samples | None = None
        self._open_after = self._began = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """What was measured is written; a store that hangs is not waited for long."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        due = self._began = time.monotonic()
        try:
            while not self._ended.wait(max(0.0, due - time.monotonic())):
                # After a suspension nothing is made up for.
                due = max(due + self._interval, time.monotonic())
                self._tick()
            self._finish()
        finally:
            self._looker.close()

    def _tick(self) -> None:
        try:
            values = self._looker.look()
            at = self._clock.now()
            self.latest = Measured(at, values, self._looker.totals, self._own_cpu_percent())
            self._write(int(at), values)
        except Exception:
            # One second without a measurement is a gap; the next look is a new chance.
            log.exception("a measurement failed")
            self.problem = "a measurement failed (see the log of the supervisor)"

    def _own_cpu_percent(self) -> float | None:
        took = time.monotonic() - self._began
        return 100.0 * time.thread_time() / took if took >= self._interval else None

    def _write(self, at: int, values: Mapping[str, float]) -> None:
        if self._path is None:
            return
        try:
            if self._store is None:
                if time.monotonic() < self._open_after:
                    return
                self._store = Samples(self._path, self._keep)
            self._store.add(at, values, prune=self._clock.trusted)
            self._beside(self._store.file)
            self.problem = ""
        except (StoreError, OSError) as error:
            self._trouble(error)

    def _finish(self) -> None:
        if self._store is None:
            return
        try:
            self._store.flush(prune=False)
            self._beside(self._store.file)
        except (StoreError, OSError) as error:
            self._trouble(error)
        self._store.close()

    def _trouble(self, error: StoreError | OSError) -> None:
        said = f"{error.what}: {error.why}" if isinstance(error, StoreError) else str(error)
        if said != self.problem:
            log.warning("measurements are not stored: %s", said)
        self.problem = said
        self._open_after = time.monotonic() + REOPEN_SECONDS
