"""How long measurements are kept at which resolution, and which resolution answers a question. All pure."""

from __future__ import annotations

from dataclasses import dataclass

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86_400
STEPS = (SECOND, MINUTE, HOUR)

DEFAULT_MAX_BYTES = 20_000_000
# What a question over a long time gets at most, unless it asks for a resolution itself.
MAX_POINTS = 1500


@dataclass(frozen=True)
class Keep:
    """Seconds for which each resolution is kept, and what the file may take on the disk."""

    seconds_for: int = HOUR
    minutes_for: int = 7 * DAY
    hours_for: int = 365 * DAY
    max_bytes: int = DEFAULT_MAX_BYTES

    def of(self, step: int) -> int:
        return {SECOND: self.seconds_for, MINUTE: self.minutes_for, HOUR: self.hours_for}[step]


DEFAULT_KEEP = Keep()


def choose_step(span_seconds: float, keep: Keep = DEFAULT_KEEP, max_points: int = MAX_POINTS) -> int:
    """The finest resolution that reaches back so far with so few points, else the coarsest."""
    for step in STEPS[1:]:
        if span_seconds <= keep.of(step) and span_seconds / step <= max_points:
            return step
    return HOUR


def floor_to(at: float, step: int) -> int:
    return int(at // step) * step
