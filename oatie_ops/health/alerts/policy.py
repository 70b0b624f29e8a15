"""When somebody is told. Pure: what is seen and what is open goes in, what to tell comes out.

Only the *creation* of an alert is ever held back (by a delay, maintenance, or a failed service that
explains this one); that it is over is always told to whoever was told that it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from oatie_ops.health.model import Instant, Snapshot, Status

# Services that fail together are told together; and the one that explains the others has time to be found.
GROUP_SECONDS = 2.0
# Without word for this long (five minutes by its default) Alertmanager takes an alert for resolved.
ALERTMANAGER_REPEAT_SECONDS = 60.0
GONE = "it is not checked any more"


class Told(StrEnum):
    FIRING = "firing"
    REMINDER = "reminder"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Channel:
    """``delay_seconds``: how long a failure must last. ``repeat_seconds``: between reminders; 0: none."""

    name: str
    delay_seconds: float = 0.0
    repeat_seconds: float = 0.0


@dataclass(frozen=True)
class Seen:
    """One service now. ``held``: no new alert about it is due. ``since`` is in epoch seconds."""

    service: str
    status: Status
    output: str
    since: float
    for_seconds: float
    held: bool = False
    flapping: bool = False


@dataclass(frozen=True)
class Open:
    """A channel was told that a service fails. Times are epoch seconds."""

    channel: str
    service: str
    since: float
    told_at: float


@dataclass(frozen=True)
class Tell:
    """One line of a notification. ``until``: when it was over, for what is resolved."""

    told: Told
    service: str
    status: str
    output: str
    since: float
    until: float | None = None
    flapping: bool = False


def see(snapshot: Snapshot, now: Instant) -> tuple[Seen, ...]:
    return tuple(
        Seen(
            service=state.name,
            status=state.status,
            output=state.output,
            since=state.cause.state.since.epoch_seconds if state.cause else now.epoch_seconds,
            for_seconds=state.cause.state.since.age_seconds(now) if state.cause else 0.0,
            held=state.maintenance is not None or bool(state.consequence_of),
            flapping=state.flapping,
        )
        for state in snapshot.services.values()
    )


def decide(
    channel: Channel, opened: Iterable[Open], services: Iterable[Seen], now: float
) -> tuple[list[Open], list[Tell]]:
    """What is open afterwards, and what to tell now, all in one notification. ``now``: epoch seconds."""
    seen = {service.service: service for service in services}
    known = {entry.service: entry for entry in opened}
    kept: list[Open] = []
    tells: list[Tell] = []
    for entry in known.values():
        still, tell = _follow(channel, entry, seen.get(entry.service), now)
        kept += [still] if still else []
        tells += [tell] if tell else []
    fresh = _fresh(channel, known, seen)
    kept += [Open(channel.name, service.service, service.since, now) for service in fresh]
    return kept, [*(_tell(Told.FIRING, service, service.since) for service in fresh), *tells]


def insist(
    channel: Channel, opened: Iterable[Open], services: Iterable[Seen], wanted: Mapping[str, str], now: float
) -> tuple[list[Open], list[Tell]]:
    """Somebody wants a channel told now that these services fail, with these words. What is open then,
    and what to tell.
    """
    seen = {service.service: service for service in services}
    known = {entry.service: entry for entry in opened}
    tells = []
    for name, output in wanted.items():
        service = seen.get(name)
        if service is None or service.status in (Status.PASS, Status.WARN):
            continue
        since = known[name].since if name in known else service.since
        known[name] = Open(channel.name, name, since, now)
        tells.append(_tell(Told.FIRING, replace(service, output=output), since))
    return list(known.values()), tells


def _fresh(channel: Channel, known: Mapping[str, Open], seen: Mapping[str, Seen]) -> list[Seen]:
    """All that fail for long enough, as soon as one of them has waited for the others."""
    failing = [
        service
        for service in seen.values()
        if service.status is Status.FAIL and not service.held and service.service not in known
    ]
    if not any(service.for_seconds >= channel.delay_seconds + GROUP_SECONDS for service in failing):
        return []
    return [service for service in failing if service.for_seconds >= channel.delay_seconds]


def _follow(channel: Channel, entry: Open, seen: Seen | None, now: float) -> tuple[Open | None, Tell | None]:
    if seen is None:
        return None, Tell(Told.RESOLVED, entry.service, "unknown", GONE, entry.since, now)
    if seen.status in (Status.PASS, Status.WARN):
        # While it flaps it is neither well nor worth a message each time.
        over = not seen.flapping
        return (None, _tell(Told.RESOLVED, seen, entry.since, seen.since)) if over else (entry, None)
    # The moment may lie ahead, where the clock was set back since: then it comes no more than twice as late.
    due = channel.repeat_seconds > 0 and abs(now - entry.told_at) >= channel.repeat_seconds
    if due and seen.status is Status.FAIL and not seen.held:
        return replace(entry, told_at=now), _tell(Told.REMINDER, seen, entry.since)
    return entry, None


def _tell(told: Told, seen: Seen, since: float, until: float | None = None) -> Tell:
    return Tell(told, seen.service, seen.status.value, seen.output, since, until, seen.flapping)
