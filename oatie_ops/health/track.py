"""What is remembered of one service from result to result: latency, uptime, transitions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from oatie_ops.health.flapping import ENTER_CHANGES, is_flapping
from oatie_ops.health.latency import LatencyWindow, counts
from oatie_ops.health.model import CheckSpec, Instant, Result, Status
from oatie_ops.health.standing import Latency, Standing, Transition
from oatie_ops.health.uptime import Bucket, UptimeLedger

KEEP_TRANSITIONS = 10
# A service that nobody looked at for longer (a stopped process, a sleeping laptop) was in no known status.
TRUST_SECONDS = 120.0
VERSION = 1


class Track:
    """Belongs to the thread of the board. `standing` is immutable and goes into the snapshot."""

    def __init__(self, now: Instant, trust_seconds: float = TRUST_SECONDS) -> None:
        self._trust_seconds = trust_seconds
        self.standing = Standing()
        self._latency: dict[str, LatencyWindow] = {}
        self._summaries: dict[str, Latency] = {}
        self._uptime = UptimeLedger()
        self._transitions: deque[Transition] = deque(maxlen=KEEP_TRANSITIONS)
        self._changed_at: deque[float] = deque(maxlen=ENTER_CHANGES)
        # Fixed once: a step of the wall clock must not tear a hole into the uptime.
        self._steady_offset = now.epoch_seconds - now.monotonic_seconds
        self._counted_to = now.monotonic_seconds

    def restore(self, data: Mapping[str, Any], transitions: Iterable[Transition]) -> None:
        """Puts what `to_json` wrote before what was measured meanwhile. ``transitions`` are newest first."""
        if data.get("version") == VERSION:
            # A bucket in the future was written under a clock that has been set back since.
            now = self._counted_to + self._steady_offset
            fine, coarse = ([bucket for bucket in part if bucket[0] <= now] for part in data["uptime"])
            self._uptime.merge(fine, coarse)
            for check, values in data["latency"].items():
                window = self._latency.setdefault(check, LatencyWindow())
                window.prepend(values)
                self._summaries[check] = window.summary()
        known = [*reversed(list(transitions)), *self._transitions]
        self._transitions = deque(known, maxlen=KEEP_TRANSITIONS)
        self._renew(self._counted_to)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "uptime": self._uptime.buckets(),
            "latency": {check: window.microseconds() for check, window in self._latency.items()},
        }

    def uptime_buckets(self) -> tuple[list[Bucket], list[Bucket]]:
        """Of five minutes and of an hour, as `UptimeLedger.buckets`."""
        return self._uptime.buckets()

    def measured(self, spec: CheckSpec, result: Result) -> None:
        if counts(spec, result):
            window = self._latency.setdefault(spec.name, LatencyWindow())
            window.add(result.duration_seconds)
            self._summaries[spec.name] = window.summary()

    def passed(self, status: Status, now: Instant, *, excused: bool) -> None:
        """Time went on in ``status``; ``excused``: under maintenance, where it counts neither way."""
        elapsed = now.monotonic_seconds - self._counted_to
        self._counted_to = now.monotonic_seconds
        if not excused:
            self._uptime.add(
                status, min(elapsed, self._trust_seconds), now.monotonic_seconds + self._steady_offset
            )
        self._renew(now.monotonic_seconds)

    def changed(self, transition: Transition, now: Instant) -> None:
        self._transitions.append(transition)
        if transition.before != Status.UNKNOWN:
            self._changed_at.append(now.monotonic_seconds)
        self._renew(now.monotonic_seconds)

    def _renew(self, monotonic_seconds: float) -> None:
        self.standing = Standing(
            self._uptime.summary(monotonic_seconds + self._steady_offset),
            MappingProxyType(dict(self._summaries)),
            tuple(reversed(self._transitions)),
            is_flapping(self.standing.flapping, self._changed_at, monotonic_seconds),
        )
