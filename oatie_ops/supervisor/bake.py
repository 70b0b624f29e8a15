"""Does the new release survive its first seconds in the open? Pure: counters in, verdict out."""

from __future__ import annotations

from oatie_ops.records import dataclass
from oatie_ops.traffic.totals import WorkerSample

# Below these counts a ratio or a mean says nothing.
MIN_REQUESTS = 20
MIN_REQUESTS_FOR_LATENCY = 50
LATENCY_FACTOR = 5.0
LATENCY_FLOOR_SECONDS = 0.25
FAILED_PROBES = 3


@dataclass(frozen=True)
class Traffic:
    """What a set of workers answered in some span of time."""

    requests: int = 0
    errors: int = 0
    timed: int = 0
    busy_seconds: float = 0.0

    @property
    def error_ratio(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @property
    def mean_seconds(self) -> float:
        return self.busy_seconds / self.timed if self.timed else 0.0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.requests + other.requests,
            self.errors + other.errors,
            self.timed + other.timed,
            self.busy_seconds + other.busy_seconds,
        )

    @classmethod
    def of(cls, samples: list[WorkerSample]) -> Traffic:
        return cls(
            requests=sum(s.requests for s in samples),
            errors=sum(s.errors for s in samples),
            timed=sum(s.timed for s in samples),
            busy_seconds=sum(s.busy_seconds for s in samples),
        )


def judge(now: Traffic, before: Traffic, *, max_error_ratio: float, failed_probes: int) -> str | None:
    """Why the new release must go back, or None. ``before`` is the old release's whole traffic.

    A release is not blamed for errors that the one before it made as often.
    """
    if failed_probes >= FAILED_PROBES:
        return f"its ready path failed {failed_probes} times in a row"
    allowed = max(max_error_ratio, 2.0 * before.error_ratio)
    if now.requests >= MIN_REQUESTS and now.error_ratio > allowed:
        return (
            f"{now.errors} of {now.requests} answers ({now.error_ratio:.0%}) were server errors; "
            f"allowed are {allowed:.0%} (the release before: {before.error_ratio:.1%})"
        )
    if min(now.timed, before.timed) >= MIN_REQUESTS_FOR_LATENCY:
        limit = max(LATENCY_FLOOR_SECONDS, LATENCY_FACTOR * before.mean_seconds)
        if now.mean_seconds > limit:
            return (
                f"its answers take {now.mean_seconds * 1000:.0f} ms on average, "
                f"those of the release before {before.mean_seconds * 1000:.0f} ms"
            )
    return None
