"""What one worker counts of its requests, and the sum over all workers."""

from __future__ import annotations

from oatie_ops.records import dataclass
from oatie_ops.traffic.repeats import NO_REPEATS

# Upper limits (inclusive) of the latency histogram; one more bucket is for what takes longer.
LATENCY_BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BUCKETS = len(LATENCY_BOUNDS_SECONDS) + 1
NOTHING = (0,) * BUCKETS


@dataclass(frozen=True)
class WorkerSample:
    """One worker's counters. ``beat`` is `time.monotonic()` of its event loop, 0 before it first ran."""

    beat: float
    requests: int
    errors: int  # responses with a status of 500 or above, and applications that raised
    in_flight: int
    connections: int
    timed: int  # requests whose time was taken: all of them, or under heavy load a part
    busy_seconds: float  # their time from the call of the application to the last byte handed over
    buckets: tuple[int, ...] = NOTHING  # how many of them took how long: by `LATENCY_BOUNDS_SECONDS`
    lag_seconds: float = 0.0  # by how much its event loop's latest beat came late
    repeats: tuple[float, ...] = NO_REPEATS  # what a cache would have done: `oatie_ops.traffic.repeats`


@dataclass(frozen=True)
class Totals:
    """Of all workers that there ever were, for counters that only grow. As in `WorkerSample`."""

    requests: int = 0
    errors: int = 0
    busy_seconds: float = 0.0
    buckets: tuple[int, ...] = NOTHING
    repeats: tuple[float, ...] = NO_REPEATS

    def plus(self, sample: WorkerSample) -> Totals:
        return Totals(
            self.requests + sample.requests,
            self.errors + sample.errors,
            self.busy_seconds + sample.busy_seconds,
            tuple(map(int.__add__, self.buckets, sample.buckets)),
            tuple(map(float.__add__, self.repeats, sample.repeats)),
        )
