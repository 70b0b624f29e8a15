"""The load that was measured, minute by minute, out of the history of measurements."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.performance.buckets import History
from oatie_ops.performance.samples import Reader, samples_path
from oatie_ops.performance.tiers import DAY, MINUTE
from oatie_ops.scaling.trace import quantile

WINDOW_SECONDS = 7 * DAY
LOADED_PER_S = 1.0  # below one request a second a minute says little about the cost of a request
QUIET_SHARE = 0.7  # of the cores: below it nearly nobody waits for a processor
SATURATED_SHARE = 0.98
SERIES = (
    "app.arrivals_per_s",
    "app.completions_per_s",
    "app.errors_per_s",
    "app.concurrency",
    "app.in_flight",
    "app.service_seconds",
    "app.cpu_cores",
    "app.rss_bytes",
    "app.workers",
    "app.accept_queue",
    "supervisor.rss_bytes",
    "cgroup.cpu_limit_cores",
    "cgroup.memory_limit_bytes",
    "cgroup.memory_used_bytes",
    "host.memory_total_bytes",
    "host.memory_used_bytes",
)
Values = Sequence[float | None]


@dataclass(frozen=True)
class Facts:
    """What the measurements do not hold.

    ``buckets``: requests by duration, ``bounds_seconds`` their upper limits; empty where no supervisor runs.
    ``repeats``: what a cache would have done (`oatie_ops.traffic.repeats`); empty as well.
    ``slots``: requests that a worker has in hand at a time, where the kind of application says it.
    """

    cores: float = 1.0
    slots: int | None = None
    buckets: tuple[int, ...] = ()
    bounds_seconds: tuple[float, ...] = ()
    repeats: tuple[float, ...] = ()
    startup_seconds: float = 60.0
    application: str = "app"


def host_cores() -> float:
    """What this process may run on; a quota comes with the measurements."""
    if hasattr(os, "sched_getaffinity"):
        return float(len(os.sched_getaffinity(0)))
    return float(os.cpu_count() or 1)


@dataclass(frozen=True)
class Observed:
    """Columns of one value a minute (None: a gap) from the first measured minute to the newest."""

    start: float
    arrivals: Values
    completions: Values
    errors: Values
    in_flight_most: Values
    concurrency: Values
    service_seconds: Values
    cpu_cores: Values
    rss_bytes: Values
    workers: Values
    accept_queue_most: Values
    cores: float
    memory_limit_bytes: float | None
    memory_used_bytes: float | None
    supervisor_rss_bytes: float
    slots: int | None

    @property
    def minutes(self) -> int:
        return len(self.arrivals)

    @property
    def span_seconds(self) -> float:
        return float(self.minutes * MINUTE)

    @property
    def gap_share(self) -> float:
        return sum(value is None for value in self.arrivals) / max(1, self.minutes)

    @property
    def loaded(self) -> list[int]:
        """The minutes that say what a request costs."""
        return [
            minute
            for minute, (done, cores) in enumerate(zip(self.completions, self.cpu_cores, strict=True))
            if done is not None and cores is not None and done > LOADED_PER_S
        ]

    @property
    def current_workers(self) -> int:
        known = [value for value in self.workers if value]
        return max(1, round(known[-1])) if known else 1

    @property
    def cpu_seconds(self) -> float:
        """Of one request: the ratio of the sums, which does not mind that the kernel counts in hundredths."""
        loaded = self.loaded
        done = sum(self.completions[minute] or 0.0 for minute in loaded)
        return sum(self.cpu_cores[minute] or 0.0 for minute in loaded) / done if done else 0.0

    @property
    def wait_seconds(self) -> float:
        """Of one request, without a processor: service time less processor time, where few wait for one."""
        quiet = [m for m in self.loaded if self._busy(m) <= QUIET_SHARE and self.service_seconds[m]]
        minutes = quiet or [m for m in self.loaded if self.service_seconds[m]]
        if not minutes:
            return 0.0
        service = statistics.median(self.service_seconds[m] or 0.0 for m in minutes)
        return max(0.0, service - self.cpu_seconds)

    @property
    def error_share(self) -> float:
        """Of the answers of the loaded minutes, those of 500 and above."""
        done = sum(self.completions[minute] or 0.0 for minute in self.loaded)
        return sum(self.errors[minute] or 0.0 for minute in self.loaded) / done if done else 0.0

    @property
    def saturated_share(self) -> float:
        """Of the loaded minutes: all processors or all workers busy, so that more demand would not show."""
        loaded = self.loaded
        full = [
            m
            for m in loaded
            if self._busy(m) >= SATURATED_SHARE
            or ((self.accept_queue_most[m] or 0.0) >= 1.0 and self._filled(m) >= SATURATED_SHARE)
        ]
        return len(full) / max(1, len(loaded))

    @property
    def places_at_a_time(self) -> int | None:
        """Requests that a worker has in hand at a time; None: as many as come.

        Told by the kind of application, or seen: workers that were busy for more than half of the time on
        average and yet never had two requests in hand do one after the other.
        """
        if self.slots is not None:
            return self.slots
        shares = [
            (self.concurrency[m] or 0.0, self.in_flight_most[m] or 0.0, self.workers[m] or 1.0)
            for m in self.loaded
        ]
        busy = [most <= workers for mean, most, workers in shares if mean > 0.5 * workers]
        return 1 if len(busy) >= 5 and all(busy) else None

    def _busy(self, minute: int) -> float:
        limit = min(self.cores, self.workers[minute] or self.cores)
        return (self.cpu_cores[minute] or 0.0) / limit

    def _filled(self, minute: int) -> float:
        places = (self.slots or 1) * (self.workers[minute] or 1.0)
        return (self.concurrency[minute] or 0.0) / places


def read(home: Path, facts: Facts, *, until: float | None = None) -> Observed | None:
    """None where nothing was ever measured. Raises `StoreError`."""
    try:
        with Reader(samples_path(home)) as reader:
            found = reader.histories(SERIES, WINDOW_SECONDS, step_seconds=MINUTE, until=until)
    except FileNotFoundError:
        return None
    return observe(found, facts)


def observe(found: dict[str, History], facts: Facts) -> Observed | None:
    """From the columns of the store; None where no load was measured."""
    counts = found["app.arrivals_per_s"].counts
    known = [minute for minute, count in enumerate(counts) if count]
    if not known:
        return None
    first, last = known[0], known[-1] + 1

    def means(name: str) -> Values:
        return _column(found[name], found[name].means, first, last)

    def maxes(name: str) -> Values:
        return _column(found[name], found[name].maxes, first, last)

    def newest(name: str) -> float | None:
        return next((value for value in reversed(means(name)) if value is not None), None)

    limit, quota = newest("cgroup.memory_limit_bytes"), newest("cgroup.cpu_limit_cores")
    total = newest("host.memory_total_bytes")
    limited = limit is not None and (total is None or limit < total)
    return Observed(
        start=found["app.arrivals_per_s"].start + first * MINUTE,
        arrivals=means("app.arrivals_per_s"),
        completions=means("app.completions_per_s"),
        errors=means("app.errors_per_s"),
        in_flight_most=maxes("app.in_flight"),
        concurrency=means("app.concurrency"),
        service_seconds=means("app.service_seconds"),
        cpu_cores=means("app.cpu_cores"),
        rss_bytes=maxes("app.rss_bytes"),
        workers=means("app.workers"),
        accept_queue_most=maxes("app.accept_queue"),
        cores=min(facts.cores, quota) if quota else facts.cores,
        memory_limit_bytes=limit if limited else total,
        memory_used_bytes=newest("cgroup.memory_used_bytes" if limited else "host.memory_used_bytes"),
        supervisor_rss_bytes=newest("supervisor.rss_bytes") or 0.0,
        slots=facts.slots,
    )


def _column(history: History, values: Sequence[float], first: int, last: int) -> list[float | None]:
    return [values[minute] if history.counts[minute] else None for minute in range(first, last)]


def high(values: Values, share: float) -> float:
    """A quantile of what is known; 0 where nothing is."""
    known = [value for value in values if value is not None]
    return quantile(known, share) if known else 0.0
