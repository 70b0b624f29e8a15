"""Where results are pinned: turns them into states and into the one snapshot that readers get."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from oatie_ops.health.evaluate import evaluate, initial
from oatie_ops.health.groups import has_started
from oatie_ops.health.model import (
    CheckEntry,
    CheckSpec,
    Instant,
    Result,
    ServiceState,
    Snapshot,
    Status,
    worst,
)
from oatie_ops.health.plan import NEEDS, ServicePlan


@dataclass(frozen=True)
class Change:
    """A service got another status. The rest is as in its `ServiceState` at that moment."""

    service: str
    before: Status
    after: Status
    output: str
    consequence_of: str = ""
    maintenance: bool = False
    flapping: bool = False


class Board:
    """Belongs to one thread. `snapshot` is immutable and may go anywhere."""

    def __init__(self, services: Iterable[ServicePlan], now: Instant) -> None:
        states = {
            service.name: ServiceState(
                service.name,
                tuple(CheckEntry(spec, initial(now)) for spec in service.checks),
                service.needs,
            )
            for service in services
        }
        self.snapshot = Snapshot(now, MappingProxyType(states))

    def record(self, spec: CheckSpec, result: Result, now: Instant) -> list[Change]:
        """Takes one result in; tells which services changed, those that only follow from others included."""
        services = dict(self.snapshot.services)
        changes = _pin(services, spec, result, now)
        self._follow(services, changes, now)
        started_at = self.snapshot.started_at
        if started_at is None and has_started(services):
            started_at = now
        self.snapshot = Snapshot(now, MappingProxyType(services), started_at)
        return changes

    @staticmethod
    def _follow(services: dict[str, ServiceState], changes: list[Change], now: Instant) -> None:
        followed: set[str] = set()
        for change in changes:  # grows while it is walked: a follower may have followers
            for service in list(services.values()):
                if change.service not in service.needs or service.name in followed:
                    continue
                spec = next((entry.spec for entry in service.checks if entry.spec.type == NEEDS), None)
                if spec is not None:
                    followed.add(service.name)
                    changes += _pin(services, spec, inherited(service.needs, services), now)


def inherited(needs: Iterable[str], services: Mapping[str, ServiceState]) -> Result:
    """What follows for a service without a check of its own from the services that it needs."""
    known = [services[name] for name in needs if name in services]
    if not known:
        return Result(Status.UNKNOWN, "no check is declared for it, nor a service that it needs")
    status = worst(service.status for service in known)
    if status is Status.PASS:
        return Result(status, f"what it needs is well: {', '.join(service.name for service in known)}")
    cause = next(service for service in known if service.status is status)
    return Result(status, f"needs {cause.name} ({status}): {cause.output}")


def _pin(services: dict[str, ServiceState], spec: CheckSpec, result: Result, now: Instant) -> list[Change]:
    before = services[spec.service]
    checks = tuple(
        CheckEntry(spec, evaluate(entry.state, result, spec.rise, spec.fall, now))
        if entry.spec.key == spec.key
        else entry
        for entry in before.checks
    )
    after = replace(before, checks=checks)
    services[spec.service] = after
    if after.status is before.status:
        return []
    return [Change(spec.service, before.status, after.status, after.output)]
