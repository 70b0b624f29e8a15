"""What is counted from result to result for the metrics: told by the check loop, read by a scrape."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from oatie_ops.health.board import Change
from oatie_ops.health.model import CheckSpec, Result, Snapshot, Status
from oatie_ops.health.plan import NEEDS

BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RESULTS = ("pass", "warn", "fail", "timeout", "error", "skipped")
_WORDS = {Status.PASS: "pass", Status.WARN: "warn", Status.FAIL: "fail", Status.UNKNOWN: "skipped"}


@dataclass
class Tally:
    """Of one check. ``late_seconds``: how much after its time the latest run began."""

    results: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RESULTS, 0))
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_SECONDS) + 1))
    seconds: float = 0.0
    late_seconds: float = 0.0


class Meter:
    """Belongs to the thread of the check loop. Every series exists from the start, at 0."""

    def __init__(self) -> None:
        self.tallies: dict[tuple[str, str], Tally] = {}
        self.transitions: Counter[str] = Counter()
        self.late_seconds = 0.0

    def expect(self, snapshot: Snapshot) -> None:
        for service in snapshot.services.values():
            for entry in service.checks:
                if entry.spec.type != NEEDS:  # which is concluded and never run
                    self.tallies.setdefault(entry.spec.key, Tally())

    def result(self, spec: CheckSpec, result: Result, late_seconds: float) -> None:
        tally = self.tallies.setdefault(spec.key, Tally())
        tally.results[result.trouble or _WORDS[result.status]] += 1
        tally.buckets[bisect_left(BOUNDS_SECONDS, result.duration_seconds)] += 1
        tally.seconds += result.duration_seconds
        tally.late_seconds = self.late_seconds = late_seconds

    def change(self, change: Change) -> None:
        self.transitions[change.service] += 1
