"""How long measurements are kept at which resolution, and which resolution answers a question. All pure."""

from __future__ import annotations

from dataclasses import dataclass

from oatie_ops.config.settings import HistorySettings

SECOND, MINUTE, TEN_MINUTES, HOUR, THREE_HOURS, DAY = 1, 60, 600, 3600, 10_800, 86_400
# Ten minutes and three hours are what a day and a month are drawn from: 1440 minutes or 720 hours of dozens
# of series would take longer to read than to look at.
SUMS = (MINUTE, TEN_MINUTES, HOUR, THREE_HOURS)

DEFAULT_MAX_BYTES = 20_000_000
# What a question over a long time gets at most, unless it asks for a resolution itself.
MAX_POINTS = 300


@dataclass(frozen=True)
class Keep:
    """Seconds for which each resolution is kept, and what the file may take on the disk."""

    seconds_for: int = HOUR
    minutes_for: int = 7 * DAY
    ten_minutes_for: int = 30 * DAY
    hours_for: int = 365 * DAY  # the sums of three hours as well
    # Worker 3 of last year has nothing to do with worker 3 of today.
    workers_for: int = 30 * DAY
    max_bytes: int = DEFAULT_MAX_BYTES

    def of(self, step: int) -> int:
        return {
            SECOND: self.seconds_for,
            MINUTE: self.minutes_for,
            TEN_MINUTES: self.ten_minutes_for,
            HOUR: self.hours_for,
            THREE_HOURS: self.hours_for,
        }[step]


DEFAULT_KEEP = Keep()


def keep_of(history: HistorySettings) -> Keep:
    """As declared; what a day and a month are drawn from follows."""
    coarse = int(history.coarse_seconds)
    return Keep(
        seconds_for=int(history.fine_seconds),
        minutes_for=int(history.medium_seconds),
        ten_minutes_for=min(coarse, max(Keep.ten_minutes_for, int(history.medium_seconds))),
        hours_for=coarse,
        workers_for=min(coarse, Keep.workers_for),
        max_bytes=history.max_size_bytes,
    )


def choose_step(span_seconds: float, keep: Keep = DEFAULT_KEEP, max_points: int = MAX_POINTS) -> int:
    """The finest resolution that reaches back so far with so few points, else the coarsest."""
    for step in SUMS:
        if span_seconds <= keep.of(step) and span_seconds / step <= max_points:
            return step
    return THREE_HOURS


def floor_to(at: float, step: int) -> int:
    return int(at // step) * step
