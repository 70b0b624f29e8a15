"""Where results are pinned: turns them into states and into the one snapshot that readers get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from oatie_ops.health.consequences import cause_of
from oatie_ops.health.evaluate import evaluate, initial
from oatie_ops.health.groups import has_started, startup_members
from oatie_ops.health.maintenance import Windows
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
from oatie_ops.health.standing import Maintenance, Transition
from oatie_ops.health.track import TRUST_SECONDS, Track
from oatie_ops.health.uptime import Bucket


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
        # As in the snapshot, and as little to be changed; a dict is copied ten times quicker than its proxy.
        self._services = states
        self.snapshot = Snapshot(now, MappingProxyType(states))
        self._followers = followers(states.values())
        self._starters = [state.name for state in startup_members(states)]
        self._windows = Windows()
        self._tracks = {name: Track(now, _trust_seconds(state)) for name, state in states.items()}

    def record(self, spec: CheckSpec, result: Result, now: Instant) -> list[Change]:
        """Takes one result in; tells which services changed, those that only follow from others included."""
        services = self._services.copy()
        self._tracks[spec.service].measured(spec, result)
        self._count_time(services[spec.service], now)
        changes = _pin(services, spec, result, now)
        self._follow(services, changes, now)
        self._overlay(services, self._concerned([spec.service, *(c.service for c in changes)]), now)
        told = [self._told(services, change, now) for change in changes]
        self._publish(services, now)
        return told

    def look_around(self, now: Instant, names: Collection[str] | None = None) -> None:
        """What changes without a result: windows begin and end, and time goes on for what has no check.

        ``names``: these only, for who looks at many in slices; None: all.
        """
        services = self._services.copy()
        names = list(services) if names is None else names
        for name in names:
            if all(entry.spec.type == NEEDS for entry in services[name].checks):
                self._count_time(services[name], now)
        self._overlay(services, names, now)
        self._publish(services, self.snapshot.taken_at)

    def hold(self, windows: Iterable[Maintenance], now: Instant) -> None:
        """The windows that the store holds."""
        self._windows.replace(windows, now)
        self.look_around(now)

    def restore(self, tracks: Mapping[str, tuple[Mapping[str, Any], Iterable[Transition]]]) -> None:
        """What an earlier run remembered; services that are declared no longer are passed over."""
        for name, (data, transitions) in tracks.items():
            if name in self._tracks:
                self._tracks[name].restore(data, transitions)
        services = self._services.copy()
        for name, state in services.items():
            services[name] = replace(state, standing=self._tracks[name].standing)
        self._publish(services, self.snapshot.taken_at)

    def uptime_buckets(self) -> dict[str, tuple[list[Bucket], list[Bucket]]]:
        """By service, of five minutes and of an hour: what the uptime is the sum of."""
        return {name: track.uptime_buckets() for name, track in self._tracks.items()}

    def memory(self, service: str) -> dict[str, Any]:
        """For `restore`, as JSON."""
        return self._tracks[service].to_json()

    def _count_time(self, state: ServiceState, now: Instant) -> None:
        self._tracks[state.name].passed(state.status, now, excused=state.maintenance is not None)

    def _told(self, services: dict[str, ServiceState], change: Change, now: Instant) -> Change:
        state, track = services[change.service], self._tracks[change.service]
        track.changed(
            Transition(now.epoch_seconds, change.before, change.after, change.output, state.consequence_of),
            now,
        )
        services[change.service] = replace(state, standing=track.standing)
        return replace(
            change,
            consequence_of=state.consequence_of,
            maintenance=state.maintenance is not None,
            flapping=track.standing.flapping,
        )

    def _overlay(self, services: dict[str, ServiceState], names: Iterable[str], now: Instant) -> None:
        for name in names:
            state, standing = services[name], self._tracks[name].standing
            cause = cause_of(name, services)
            window = self._windows.covering(name, now)
            if window is None and cause:
                window = self._windows.covering(cause, now)
            known = (state.consequence_of, state.maintenance)
            if state.standing is not standing or known != (cause, window):
                services[name] = replace(state, consequence_of=cause, maintenance=window, standing=standing)

    def _concerned(self, changed: Iterable[str]) -> list[str]:
        """These and all that may fail because of them: their followers, and the followers of those."""
        found = dict.fromkeys(changed)
        waiting = list(found)
        while waiting:
            new = [name for name in self._followers.get(waiting.pop(), ()) if name not in found]
            found |= dict.fromkeys(new)
            waiting += new
        return list(found)

    def _publish(self, services: dict[str, ServiceState], now: Instant) -> None:
        started_at = self.snapshot.started_at
        if started_at is None and has_started({name: services[name] for name in self._starters}):
            started_at = now
        self._services = services
        self.snapshot = Snapshot(now, MappingProxyType(services), started_at)

    def _follow(self, services: dict[str, ServiceState], changes: list[Change], now: Instant) -> None:
        # A service follows again with each of its parents that changes: the second may have followed the
        # first, too. Where `needs` go in a circle, this has to end all the same.
        done: Counter[str] = Counter()
        for change in changes:  # grows while it is walked: a follower may have followers
            for name in self._followers.get(change.service, ()):
                service = services[name]
                spec = next((entry.spec for entry in service.checks if entry.spec.type == NEEDS), None)
                if spec is not None and done[name] < len(services):
                    done[name] += 1
                    changes += _pin(services, spec, inherited(service.needs, services), now)


def followers(services: Iterable[ServiceState]) -> dict[str, list[str]]:
    """By service, those that need it, in their order."""
    found: dict[str, list[str]] = {}
    for service in services:
        for need in dict.fromkeys(service.needs):
            found.setdefault(need, []).append(service.name)
    return found


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


def _trust_seconds(state: ServiceState) -> float:
    return max([TRUST_SECONDS, *(3 * entry.spec.interval_seconds for entry in state.checks)])


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
