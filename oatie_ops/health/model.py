"""The values that health is made of. All immutable: a reader can keep what it got.

Times are `Instant`s: ages come from the monotonic half, so a stepped wall clock changes no age.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from oatie_ops.health.standing import (
    NO_LATENCY,
    NOTHING_KNOWN,
    Degradation,
    Latency,
    Maintenance,
    Standing,
    Uptime,
)


class Status(StrEnum):
    """The words of draft-inadarei-api-health-check-06, and ``unknown`` for what nobody measured."""

    PASS = "pass"
    UNKNOWN = "unknown"
    WARN = "warn"
    FAIL = "fail"

    @property
    def severity(self) -> int:
        """The order in which statuses win when several are summed up; a known problem beats a doubt."""
        return _SEVERITY[self]


_SEVERITY = {status: rank for rank, status in enumerate(Status)}


def worst(statuses: Iterable[Status]) -> Status:
    """The most severe of them; ``unknown`` where there is none."""
    found = set(statuses)  # of a thousand services there are four at the most
    return max(found, key=_SEVERITY.__getitem__, default=Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Instant:
    monotonic_seconds: float
    epoch_seconds: float

    def age_seconds(self, now: Instant) -> float:
        return max(0.0, now.monotonic_seconds - self.monotonic_seconds)


Clock = Callable[[], Instant]


def system_clock() -> Instant:
    return Instant(time.monotonic(), time.time())


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of a check found. ``output`` is one line for people and holds no secret.

    ``trouble`` is ``"timeout"`` where the deadline ended it, ``"error"`` where the check itself crashed.
    ``refused``: the service did not accept the credentials.
    """

    status: Status
    output: str
    observed_value: float | None = None
    observed_unit: str = ""
    duration_seconds: float = 0.0
    trouble: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check of one service. ``rise`` and ``fall`` count the results in a row that change its status.

    A pass that took longer than ``warn_after_seconds`` is a warning.
    """

    service: str
    name: str
    type: str
    options: Mapping[str, Any] = field(default_factory=dict)
    interval_seconds: float = 10.0
    timeout_seconds: float = 2.0
    rise: int = 2
    fall: int = 3
    warn_after_seconds: float | None = None
    # The health groups whose answer this check helps to decide (``groups = ["ready"]``).
    groups: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", frozenset(self.options.get("groups", ())))

    @property
    def key(self) -> tuple[str, str]:
        return (self.service, self.name)


@dataclass(frozen=True, slots=True)
class CheckState:
    """Where a check stands. The four counts are the latest results in a row that were so."""

    status: Status
    since: Instant
    checked_at: Instant | None = None
    last: Result | None = None
    passes: int = 0
    not_fails: int = 0
    not_passes: int = 0
    fails: int = 0
    unknowns: int = 0

    @property
    def undecided(self) -> bool:
        """The latest result disagrees with the status, but not yet often enough to change it."""
        return self.last is not None and self.last.status not in (self.status, Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class CheckEntry:
    spec: CheckSpec
    state: CheckState

    @property
    def output(self) -> str:
        """Why the status is what it is; an undecided check says how far it is from changing."""
        last = self.state.last
        if last is None:
            return "not checked yet"
        if not self.state.undecided:
            return last.output
        need = self.spec.rise if last.status.severity < self.state.status.severity else self.spec.fall
        return f"{last.output} (latest result: {last.status}; {need} in a row change the status)"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service: as bad as the worst of its checks. ``checks`` are in the order of importance.

    ``consequence_of`` names the failed service, at the end of the chain of ``needs``, that explains why
    this one does not pass; no alert of its own is due then. ``maintenance`` is the window that covers
    this service, or the one that ``consequence_of`` names.
    """

    name: str
    checks: tuple[CheckEntry, ...] = ()
    needs: tuple[str, ...] = ()
    consequence_of: str = ""
    maintenance: Maintenance | None = None
    standing: Standing = NOTHING_KNOWN
    degraded: Degradation | None = None
    # Kept and not derived, because each answer of /health asks it of every service: that of the checks, and
    # what follows from it; while a switch degrades the service, no better than ``warn``.
    checked_status: Status = field(init=False)
    status: Status = field(init=False)

    def __post_init__(self) -> None:
        found = worst(entry.state.status for entry in self.checks)
        object.__setattr__(self, "checked_status", found)
        shown = Status.WARN if self.degraded and found is not Status.FAIL else found
        object.__setattr__(self, "status", shown)

    @property
    def flapping(self) -> bool:
        """It changed its status so often lately that a single change tells little."""
        return self.standing.flapping

    @property
    def uptime(self) -> Uptime:
        return self.standing.uptime

    @property
    def latency(self) -> Latency:
        """That of the first check which has one: of `app`, what a user waits."""
        known = self.standing.latency
        return next((known[e.spec.name] for e in self.checks if e.spec.name in known), NO_LATENCY)

    @property
    def cause(self) -> CheckEntry | None:
        """The check that made the status; the first of them where several agree."""
        status = self.checked_status
        return next((entry for entry in self.checks if entry.state.status is status), None)

    @property
    def output(self) -> str:
        if self.degraded and self.checked_status not in (Status.FAIL, Status.WARN):
            return f"degraded by {self.degraded.owner}: {self.degraded.reason or 'no reason given'}"
        cause = self.cause
        return cause.output if cause else "no check is declared"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What all readers see: every service at one moment. ``started_at``: the application first served."""

    taken_at: Instant
    services: Mapping[str, ServiceState] = field(default_factory=lambda: MappingProxyType({}))
    started_at: Instant | None = None

    @property
    def status(self) -> Status:
        """Of what is not under maintenance; where everything is, no worse than ``warn``."""
        counted = [service for service in self.services.values() if service.maintenance is None]
        if counted or not self.services:
            return worst(service.status for service in counted)
        found = worst(service.status for service in self.services.values())
        return Status.WARN if found is Status.FAIL else found

    @property
    def worst_first(self) -> list[ServiceState]:
        """Causes before their consequences, what is under maintenance last, then by severity and order."""
        return sorted(
            self.services.values(),
            key=lambda s: (s.maintenance is not None, -s.status.severity, bool(s.consequence_of)),
        )

    @property
    def cause(self) -> str:
        """The worst service and why, as one line; empty while everything passes."""
        if self.status is Status.PASS or not self.services:
            return ""
        first = self.worst_first[0]
        return f"{first.name}: {first.output}"

    def age_seconds(self, now: Instant) -> float:
        return self.taken_at.age_seconds(now)
