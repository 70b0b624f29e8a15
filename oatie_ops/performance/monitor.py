"""``resource_monitor``: the library's own measuring, for any program.

Inside a project whose supervisor runs, the supervisor measures already and this reads along; elsewhere a
thread looks once a second. What is measured goes into ``.oatie/samples.db`` where there is an ``.oatie``,
so that it is there after a restart, and else into a temporary file.
"""

from __future__ import annotations

import atexit
import os
import tempfile
import threading
import time
from pathlib import Path

from oatie_ops.errors import UsageError
from oatie_ops.paths import state_paths
from oatie_ops.performance.measured import Measured
from oatie_ops.performance.readings import Running
from oatie_ops.performance.sampler import Looker, Sampler, system_source
from oatie_ops.performance.samples import FILE_NAME, samples_path
from oatie_ops.performance.trends import MAX_HOURS, Trends, read_trends
from oatie_ops.performance.usage import Usage, usage_of

# Between the two looks of a single question: long enough for the processor's clock of 10 ms.
GLANCE_SECONDS = 0.25


class ResourceMonitor:
    """Safe to use from any thread. All methods but `get_current_usage` without monitoring return at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sampler: Sampler | None = None
        self._path: Path | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    @property
    def monitoring(self) -> bool:
        """Whether it measures now, as the first `start_monitoring` asked."""
        return self._sampler is not None and self._sampler.running

    @property
    def problem(self) -> str:
        """Why what is measured is not stored; empty where it is."""
        return self._sampler.problem if self._sampler else ""

    def start_monitoring(self, *, interval_seconds: float = 1.0, store: Path | None = None) -> None:
        """Measures until `stop_monitoring` or the end of the process; while it does, another call is ignored.

        ``store``: the file that keeps what is measured; without it the project's ``.oatie/samples.db``, or
        where there is no project one that ends with the process. Raises `UsageError` for no interval.
        """
        if interval_seconds <= 0:
            raise UsageError("the interval must be more than 0 seconds")
        with self._lock:
            if self.monitoring:
                return
            self._path = store or self._default_path()
            sampler = Sampler(
                lambda: Running(os.getpid()),
                self._path.parent if self._path.parent.exists() else Path.cwd(),
                self._path,
                interval_seconds=interval_seconds,
            )
            self._sampler = sampler
            sampler.start()
            atexit.register(self.stop_monitoring)

    def stop_monitoring(self) -> None:
        """Writes what was measured. Idempotent."""
        with self._lock:
            sampler, self._sampler = self._sampler, None
        atexit.unregister(self.stop_monitoring)
        if sampler is not None:
            sampler.stop()

    def get_current_usage(self) -> Usage:
        """The newest measurement; without monitoring two looks are made, within a quarter of a second."""
        sampler = self._sampler
        if sampler is not None and sampler.running and len(sampler.latest.totals):
            return usage_of(sampler.latest)
        return usage_of(glance(Running(os.getpid()), Path.cwd()))

    def get_usage_trends(self, hours: float = 1.0) -> Trends:
        """Of what was measured in this project, by whomever. Raises `UsageError` and `StoreError`."""
        if not 0 < hours <= MAX_HOURS:
            raise UsageError(f"hours must be more than 0 and at most {MAX_HOURS:g}")
        with self._lock:
            path = self._path or self._default_path()
        return read_trends(path, hours)

    def _default_path(self) -> Path:
        home = state_paths(Path.cwd()).home
        if home.is_dir() or "OATIE_HOME" in os.environ:
            return samples_path(home)
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="oatie-samples-")
        return Path(self._temporary.name) / FILE_NAME


def glance(running: Running, disk: Path) -> Measured:
    """Two looks and what is between them, for a single question."""
    looker = Looker(system_source(disk), lambda: running, ())
    try:
        looker.look()
        time.sleep(GLANCE_SECONDS)
        return Measured(time.time(), looker.look(), looker.totals)
    finally:
        looker.close()


resource_monitor = ResourceMonitor()
