"""The scaling engine: reads what was measured, asks each model, and says what it should be or why not yet.

from oatie_ops import scaling_engine

scaling_engine.get_scaling_recommendations()
scaling_engine.get_optimal_configuration()
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oatie_ops.scaling.advise_cache import advise_cache
from oatie_ops.scaling.advise_limits import advise_pool, advise_timeout
from oatie_ops.scaling.advise_replicas import advise_replicas
from oatie_ops.scaling.advise_workers import advise_memory, advise_workers, what_if
from oatie_ops.scaling.observed import Facts, Observed, host_cores, read
from oatie_ops.scaling.queueing import throughput
from oatie_ops.scaling.recommendation import PRIORITIES, Advice, Recommendation, Unknown
from oatie_ops.scaling.setup import DAY_SECONDS, WEEK_SECONDS, Setup

KINDS = ("workers", "replicas", "pool", "timeout", "memory", "cache")


def advise(
    home: Path,
    facts: Facts,
    *,
    setup: Setup | None = None,
    now: Callable[[], float] = time.time,
) -> Advice:
    """From the history under ``home`` (``.oatie``). Takes a second or two for a week. Raises `StoreError`."""
    at = now()
    seen = read(home, facts, until=at)
    if seen is None:
        return _without_history(facts, at)
    return judge(seen, facts, at, setup or Setup(startup_seconds=facts.startup_seconds))


def judge(seen: Observed, facts: Facts, at: float, setup: Setup) -> Advice:
    """Pure: the same history gives the same advice."""
    grade = grade_of(seen)
    workers = advise_workers(seen, grade)
    count = int(workers.value or 1) if isinstance(workers, Recommendation) else seen.current_workers
    replicas = advise_replicas(seen, setup, count, grade)
    found: list[Recommendation | Unknown] = [
        workers,
        replicas.found,
        advise_pool(seen, count),
        advise_timeout(facts),
        advise_memory(seen, count, grade),
        advise_cache(facts),
    ]
    known = [one for one in found if isinstance(one, Recommendation)]
    began = datetime.fromtimestamp(seen.start, UTC)
    return Advice(
        at=at,
        grade=grade,
        window=f"{seen.span_seconds / 3600:.1f} h since {began:%Y-%m-%d %H:%M} UTC,"
        f" {seen.gap_share:.1%} gaps",
        recommendations=tuple(sorted(known, key=lambda one: PRIORITIES.index(one.priority))),
        unknown=tuple(one for one in found if isinstance(one, Unknown)),
        what_if=what_if(seen, count),
        policies=replicas.policies,
        hpa=replicas.hpa,
        load=tuple(seen.arrivals),
    )


def _without_history(facts: Facts, at: float) -> Advice:
    """What the workers themselves have counted may say something already."""
    reason = "nothing was ever measured here"
    needs = "needs 60 minutes of load above 1 rps under `oatie start`"
    counted = {"timeout": advise_timeout(facts), "cache": advise_cache(facts)}
    found = [counted.get(kind) or Unknown(kind, reason, needs) for kind in KINDS]
    return Advice(
        at,
        None,
        "no history",
        tuple(one for one in found if isinstance(one, Recommendation)),
        tuple(one for one in found if isinstance(one, Unknown)),
    )


def grade_of(seen: Observed) -> str:
    """By how much was seen: A a week, B a day, C less."""
    if seen.span_seconds >= WEEK_SECONDS - 3600:
        return "A"
    return "B" if seen.span_seconds >= DAY_SECONDS else "C"


class ScalingEngine:
    """For programs. Looks at the project of the current directory, or at ``home`` (its ``.oatie``).

    The history is read from disk, beside a running supervisor and without one. ``facts``: what is declared
    and counted besides; without it, the processors of this host alone.
    """

    def __init__(self, home: Path | None = None, facts: Facts | None = None) -> None:
        self._home = home
        self._facts = facts

    @property
    def home(self) -> Path:
        """The state directory whose history is read."""
        if self._home is not None:
            return self._home
        from oatie_ops.config.locate import locate
        from oatie_ops.paths import state_paths

        return state_paths(locate(Path.cwd()).root).home

    def advice(self) -> Advice:
        """All of it, with evidence and grade. Takes a second or two for a week. Raises `StoreError`."""
        return advise(self.home, self._facts or Facts(cores=host_cores()))

    def get_scaling_recommendations(self) -> list[dict[str, Any]]:
        """The most urgent first; empty where too little is known: `get_optimal_configuration` says why.

        Each with ``type``, ``priority``, ``title``, ``description``, ``action``, ``estimated_impact``,
        ``confidence``, ``value``, ``current`` and the ``evidence`` it was computed from. Raises `StoreError`.
        """
        return [found.as_dict() for found in self.advice().recommendations]

    def get_optimal_configuration(self) -> dict[str, Any]:
        """workers, replicas, pool_size_per_worker, timeout_seconds, memory_limit_bytes, cache, hpa.

        None where it is not known, with the reasons in ``unknown``. Raises `StoreError`.
        """
        return self.advice().configuration()

    @staticmethod
    def predict_throughput(
        workers: int,
        cpu_seconds: float,
        wait_seconds: float,
        *,
        cores: float | None = None,
        at_a_time: int | None = 1,
        clients: int | None = None,
    ) -> float:
        """The most requests per second of so many workers, by the model that the advice is made with.

        A request takes ``cpu_seconds`` of a processor, the server's own part included, and waits
        ``wait_seconds`` without one. ``at_a_time``: requests that a worker has in hand: 1 for a sync worker,
        the number of threads of a threaded one, None for an event loop. ``clients`` that ask one request
        after the other, each over a new connection; None: enough to keep all busy. ``cores`` None: this
        machine's. Raises ValueError.

        Times are taken to vary as they do among unlike requests (exponentially; those of an event loop with
        a number of ``clients`` half as much). Requests that are all alike queue less: near the knee they may
        come closer to the bound min(places / (cpu + wait), cores / cpu).
        """
        if workers < 1 or (at_a_time is not None and at_a_time < 1) or (clients is not None and clients < 1):
            raise ValueError("workers, at_a_time and clients are whole numbers from 1 up")
        if cpu_seconds < 0 or wait_seconds < 0 or (cores is not None and cores <= 0):
            raise ValueError("times are not negative, and there is some of a core")
        return throughput(
            workers, at_a_time, cores or host_cores(), cpu_seconds, wait_seconds, clients=clients
        )


scaling_engine = ScalingEngine()
