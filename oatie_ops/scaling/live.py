"""The advice for a running application: what the supervisor knows goes with what was measured."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from oatie_ops.config.settings import ScaleSettings, Settings
from oatie_ops.scaling.engine import advise
from oatie_ops.scaling.observed import Facts, host_cores
from oatie_ops.scaling.recommendation import Advice
from oatie_ops.scaling.setup import Setup

# A2WSGI serves a WSGI application from so many threads in each worker.
WSGI_THREADS = 10
FRESH_SECONDS = 30.0


def facts_of(
    settings: Settings,
    *,
    buckets: tuple[int, ...] = (),
    bounds_seconds: tuple[float, ...] = (),
    repeats: tuple[float, ...] = (),
) -> Facts:
    """``buckets`` and ``repeats``: counts of the running supervisor; without one there are none."""
    return Facts(
        cores=host_cores(),
        slots=WSGI_THREADS if settings.app.interface == "wsgi" else None,
        buckets=buckets,
        bounds_seconds=bounds_seconds,
        repeats=repeats,
        startup_seconds=settings.scale.startup_seconds,
        application=settings.app.name,
    )


def setup_of(scale: ScaleSettings) -> Setup:
    return Setup(
        startup_seconds=scale.startup_seconds,
        budget=scale.budget,
        min_replicas=scale.min,
        max_replicas=scale.max,
    )


class Desk:
    """Gives advice to many who ask: a replay of a week takes a second, so it is kept for half a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._advice: Advice | None = None
        self._made_at = 0.0

    def advice(self, home: Path, facts: Facts, setup: Setup) -> Advice:
        """Blocks: for a thread. Raises `StoreError`."""
        with self._lock:
            if self._advice is None or time.monotonic() - self._made_at > FRESH_SECONDS:
                self._advice = advise(home, facts, setup=setup)
                self._made_at = time.monotonic()
            return self._advice
