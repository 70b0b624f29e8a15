"""The three questions that machines ask: is it alive, may it get traffic, has it started?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from oatie_ops.health.model import Instant, ServiceState, Snapshot, Status, worst
from oatie_ops.health.plan import APP

# The workers are looked at every second; a snapshot this old means that the loop itself is stuck.
STALE_SECONDS = 15.0


@dataclass(frozen=True)
class Verdict:
    status: Status
    output: str


def live(_snapshot: Snapshot, _now: Instant) -> Verdict:
    """Answering is the proof. It never looks at a dependency: restarting `oatie` repairs none of them."""
    return Verdict(Status.PASS, "the supervisor answers")


def ready(snapshot: Snapshot, now: Instant) -> Verdict:
    """The application serves, and so does what the service ``app`` needs or what declares this group."""
    age = snapshot.age_seconds(now)
    if age > STALE_SECONDS:
        return Verdict(Status.UNKNOWN, f"the check loop has not reported for {age:.0f} s")
    app = snapshot.services.get(APP)
    if app is None:
        return Verdict(Status.UNKNOWN, "the application was not checked")
    services, needed = snapshot.services, dict.fromkeys(app.needs)
    wanted = [*(name for name in services if name in needed), *_declaring(services, "ready")]
    members = [app, *(services[name] for name in dict.fromkeys(wanted))]
    status = worst(service.status for service in members)
    return Verdict(status, _why(status, members))


def startup(snapshot: Snapshot, _now: Instant) -> Verdict:
    """Passes from the moment the application first served, and for ever after."""
    if snapshot.started_at is not None:
        return Verdict(Status.PASS, "the application has started")
    members = startup_members(snapshot.services)
    if not members:
        return Verdict(Status.UNKNOWN, "the application was not checked")
    status = worst(service.status for service in members)
    return Verdict(Status.UNKNOWN if status is Status.PASS else status, _why(status, members))


def startup_members(services: Mapping[str, ServiceState]) -> list[ServiceState]:
    app = [APP] if APP in services else []
    return [services[name] for name in dict.fromkeys([*app, *_declaring(services, "startup")])]


def has_started(services: Mapping[str, ServiceState]) -> bool:
    """The workers serve, and every check that declares the group ``startup`` passes."""
    members = startup_members(services)
    # The first check of `app` is the one that knows whether somebody serves at all.
    heads = [service.checks[0].state.status for service in members if service.checks]
    return APP in services and all(status in (Status.PASS, Status.WARN) for status in heads)


def _declaring(services: Mapping[str, ServiceState], group: str) -> list[str]:
    """One plain loop: a kubelet's question goes over all checks there are."""
    return [name for name, s in services.items() for entry in s.checks if group in entry.spec.groups]


def _why(status: Status, services: list[ServiceState]) -> str:
    cause = next(service for service in services if service.status is status)
    return f"{cause.name}: {cause.output}"


GROUPS: dict[str, Callable[[Snapshot, Instant], Verdict]] = {"live": live, "ready": ready, "startup": startup}
