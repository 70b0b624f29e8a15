"""What degrades services by itself: a dependency that fails, and overload. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oatie_ops.config.settings import ServiceSettings
from oatie_ops.degradation.decision import FULL, Decision, Now

LOAD = "load"
# An automatic decision ends by itself soon after whoever renews it is gone.
LEASE_SECONDS = 600.0
RENEW_BELOW_SECONDS = 300.0
BY_HEALTH, BY_BREAKER = "health:", "breaker:"
DEFAULT_PRIORITY = 5

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Condition:
    """What health knows of one service: "pass", "warn", "fail" or "unknown", and why."""

    status: str
    output: str = ""


def for_needs(
    services: Iterable[ServiceSettings],
    conditions: Mapping[str, Condition],
    open_breakers: Collection[str],
    active: Sequence[Decision],
) -> tuple[dict[Key, str], set[Key]]:
    """What has to be decided (key to reason), and what has to end, by the services in ``auto`` of each.

    A service fails by its checks, or by the calls of the application to it; what is unknown changes nothing.
    """
    wanted: dict[Key, str] = {}
    undecided: set[Key] = set()
    for service in services:
        for needed in (service.degrade or {}).get("auto", ()):
            if needed in open_breakers:
                wanted[service.name, "breaker", f"{BY_BREAKER}{needed}"] = f"the breaker of {needed} is open"
            key = (service.name, "breaker", f"{BY_HEALTH}{needed}")
            condition = conditions.get(needed)
            if condition is None or condition.status == "unknown":
                undecided.add(key)
            elif condition.status == "fail":
                wanted[key] = f"{needed} is failing: {condition.output}"
    present = {each.key for each in active if by_itself(each)}
    missing = {key: reason for key, reason in wanted.items() if key not in present}
    return missing, present - wanted.keys() - undecided


def by_itself(decision: Decision) -> bool:
    """Made by `for_needs` on this host."""
    return decision.cause.startswith((BY_HEALTH, BY_BREAKER)) and not decision.host


def decision(key: Key, reason: str, level: int, now: Now) -> Decision:
    """That ends after a lease, if nobody renews it."""
    service, owner, cause = key
    return Decision(
        service=service,
        owner=owner,
        level=level,
        reason=reason,
        actor="oatie",
        origin="automatic",
        cause=cause,
        started_at=now.epoch_seconds,
        until=now.epoch_seconds + LEASE_SECONDS,
        deadline=now.monotonic_seconds + LEASE_SECONDS,
        boot_id=now.boot_id,
    )


@dataclass(frozen=True)
class Overload:
    """When the application counts as overloaded: ``lag`` is by how long its event loops are late.

    ``in_flight`` is requests under way for each worker; 0: they are not looked at.
    """

    lag_seconds: float
    in_flight: int = 0

    def reason(self, lag_seconds: float, in_flight: float) -> str:
        """Empty while it is not overloaded."""
        if lag_seconds >= self.lag_seconds:
            late, limit = lag_seconds * 1000, self.lag_seconds * 1000
            late, limit = lag_seconds * 1000, self.lag_seconds * 1000
            return f"event loops are {late:.0f} ms late (limit: {limit:.0f} ms)"
        if self.in_flight and in_flight >= self.in_flight:
            return f"{in_flight:.0f} requests in flight per worker (limit: {self.in_flight})"
        return ""


@dataclass(frozen=True)
class Pressure:
    """How much is shed: 100 for each class of priority that is shed whole.

    It goes up fast and comes down slowly, so that shedding does not swing with the load that it takes away.
    """

    value: int = 0
    overloaded_ticks: int = 0
    calm_ticks: int = 0

    def next(self, overloaded: bool, most: int) -> Pressure:
        """One second later. ``most``: 100 times the number of classes."""
        if overloaded:
            ticks = self.overloaded_ticks + 1
            raised = self.value + STEP if ticks >= TICKS_BEFORE_SHEDDING else self.value
            return Pressure(min(most, raised), ticks, 0)
        calm = self.calm_ticks + 1
        if calm % TICKS_BEFORE_EASING:
            return replace(self, overloaded_ticks=0, calm_ticks=calm)
        return Pressure(max(0, self.value - STEP), 0, calm)


STEP = 25
TICKS_BEFORE_SHEDDING = 2
TICKS_BEFORE_EASING = 5


def classes(services: Iterable[ServiceSettings]) -> list[list[str]]:
    """Services that overload may degrade, those of the lowest priority (the highest number) first."""
    by_priority: dict[int, list[str]] = {}
    for service in services:
        degrade: Mapping[str, Any] = service.degrade or {}
        if LOAD in degrade.get("auto", ()):
            by_priority.setdefault(int(degrade.get("priority", DEFAULT_PRIORITY)), []).append(service.name)
    return [by_priority[priority] for priority in sorted(by_priority, reverse=True)]


def levels(pressure: int, order: Sequence[Sequence[str]]) -> dict[str, int]:
    """Percent to shed of each service; a class is touched only when the one before it is shed whole."""
    return {
        name: max(0, min(FULL, pressure - FULL * place))
        for place, names in enumerate(order)
        for name in names
    }
