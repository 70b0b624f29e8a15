"""How long measurements are kept at which resolution, and which resolution answers a question. All pure."""

from __future__ import annotations

from dataclasses import dataclass

SECOND, MINUTE, TEN_MINUTES, HOUR, DAY = 1, 60, 600, 3600, 86_400
# Ten minutes are what a day is drawn from: its 1440 minutes would take longer to read than to look at.
SUMS = (MINUTE, TEN_MINUTES, HOUR)

DEFAULT_MAX_BYTES = 20_000_000
# What a question over a long time gets at most, unless it asks for a resolution itself.
MAX_POINTS = 1000


@dataclass(frozen=True)
class Keep:
    """Seconds for which each resolution is kept, and what the file may take on the disk."""

    seconds_for: int = HOUR
    minutes_for: int = 7 * DAY
    ten_minutes_for: int = 30 * DAY
    hours_for: int = 365 * DAY
    max_bytes: int = DEFAULT_MAX_BYTES

    def of(self, step: int) -> int:
        return {
            SECOND: self.seconds_for,
            MINUTE: self.minutes_for,
            TEN_MINUTES: self.ten_minutes_for,
            HOUR: self.hours_for,
        }[step]


DEFAULT_KEEP = Keep()


def choose_step(span_seconds: float, keep: Keep = DEFAULT_KEEP, max_points: int = MAX_POINTS) -> int:
    """The finest resolution that reaches back so far with so few points, else the coarsest."""
    for step in SUMS:
        if span_seconds <= keep.of(step) and span_seconds / step <= max_points:
            return step
    return HOUR


def floor_to(at: float, step: int) -> int:
    return int(at // step) * step
