"""What is known of a service beyond its status: how fast, how reliable, what happened, what overlays it.

Moments are epoch seconds on the steady clock of `oatie_ops.health.model.Instant`: they survive a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Latency:
    """Of the last ``samples`` answers and time-outs; a refusal in a microsecond is no latency.

    ``recent_seconds`` are the newest of them, oldest first, for a sparkline. None: nothing measured yet.
    """

    p50_seconds: float | None = None
    p95_seconds: float | None = None
    p99_seconds: float | None = None
    samples: int = 0
    recent_seconds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Uptime:
    """Shares from 0 to 1 of the known time in which the service passed or warned; None: nothing known.

    Time of status unknown and time under maintenance counts neither way. ``known_seconds`` of the last
    week tells how much a share rests on.
    """

    hour: float | None = None
    day: float | None = None
    week: float | None = None
    known_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a service's status (the words of `Status`), at ``at`` (epoch seconds)."""

    at: float
    before: str
    after: str
    output: str
    consequence_of: str = ""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A window in which failures of ``service`` (``"*"``: of all) are expected. Times are epoch seconds.

    ``until`` None: until it is cleared. ``id`` is that of the store, 0 where it could not be stored.
    """

    id: int
    service: str
    reason: str
    actor: str
    started_at: float
    until: float | None = None

    def covers(self, service: str) -> bool:
        return self.service in (EVERYTHING, service)


@dataclass(frozen=True, slots=True)
class Degradation:
    """A switch is on: ``level`` percent of its requests are degraded. Times are epoch seconds.

    ``left_seconds`` None: it does not end by itself.
    """

    level: int
    owner: str
    reason: str
    actor: str
    since: float
    left_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """``latency`` is by the name of the check; ``transitions`` are newest first."""

    uptime: Uptime = field(default_factory=Uptime)
    latency: Mapping[str, Latency] = field(default_factory=lambda: MappingProxyType({}))
    transitions: tuple[Transition, ...] = ()
    flapping: bool = False


NOTHING_KNOWN = Standing()
NO_LATENCY = Latency()
