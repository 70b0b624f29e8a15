"""The three questions that machines ask: is it alive, may it get traffic, has it started?"""

from __future__ import annotations

from collections.abc import Callable
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
    """The application serves, and so does everything that the service ``app`` declares to need."""
    age = snapshot.age_seconds(now)
    if age > STALE_SECONDS:
        return Verdict(Status.UNKNOWN, f"the check loop has not reported for {age:.0f} s")
    app = snapshot.services.get(APP)
    if app is None:
        return Verdict(Status.UNKNOWN, "the application was not checked")
    needed = [snapshot.services[name] for name in app.needs if name in snapshot.services]
    status = worst(service.status for service in (app, *needed))
    return Verdict(status, _why(status, [app, *needed]))


def startup(snapshot: Snapshot, _now: Instant) -> Verdict:
    """Passes from the moment the application first served, and for ever after."""
    if snapshot.started_at is not None:
        return Verdict(Status.PASS, "the application has started")
    app = snapshot.services.get(APP)
    if app is not None and app.status is Status.FAIL:
        return Verdict(Status.FAIL, app.output)
    return Verdict(Status.UNKNOWN, app.output if app is not None else "the application was not checked")


def _why(status: Status, services: list[ServiceState]) -> str:
    cause = next(service for service in services if service.status is status)
    return f"{cause.name}: {cause.output}"


GROUPS: dict[str, Callable[[Snapshot, Instant], Verdict]] = {"live": live, "ready": ready, "startup": startup}
