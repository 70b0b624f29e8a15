"""Which service is repaired next, or until when none is. Pure: a look at all services in, one choice out.

One try at a time on a host; parents before what needs them; and a brake: where most services fail at once
the cause is hardly in each of them, so only one is tried now and then, until one of these tries helps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from oatie_ops.config import defaults
from oatie_ops.health.model import Status
from oatie_ops.recovery.ladder import Ladder
from oatie_ops.recovery.ladder_state import RESET_SECONDS, Phase, Progress, Seen, observe, ready_at

BRAKE_SERVICES = 3
BRAKE_SHARE = 0.5
BRAKE_SECONDS = defaults.RECOVERY_BRAKE_SECONDS
BRAKE_MAX_SECONDS = 1_800.0
# While something fails it is looked at again after this time, whatever else happens.
LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Brake:
    """``since`` None: off. While it is on, one service is tried at ``next_at``; ``tries`` were in vain."""

    since: float | None = None
    next_at: float = 0.0
    tries: int = 0

    @property
    def on(self) -> bool:
        return self.since is not None


@dataclass(frozen=True)
class Watch:
    """Everything that is remembered from look to look."""

    services: Mapping[str, Progress] = field(default_factory=dict)
    brake: Brake = field(default_factory=Brake)


@dataclass(frozen=True)
class Choice:
    """``service`` None: nothing is to be done for ``wait_seconds`` (None: until something changes).

    ``recovered`` came back between two tries, not proven by any; for ``gave_up`` it was too much just now.
    """

    watch: Watch
    service: str | None = None
    wait_seconds: float | None = None
    recovered: tuple[str, ...] = ()
    gave_up: tuple[str, ...] = ()


def choose(
    ladders: Mapping[str, Ladder],
    parents: Mapping[str, tuple[str, ...]],
    watch: Watch,
    seen: Mapping[str, Seen],
    now: float,
) -> Choice:
    """``ladders``: those that are climbed by themselves. ``seen``: every service that is checked."""
    before = {name: watch.services.get(name, Progress()) for name in ladders}
    after = {
        name: observe(progress, seen[name], now) if name in seen else progress
        for name, progress in before.items()
    }
    recovered = tuple(
        name
        for name, progress in before.items()
        if progress.tried and progress.phase is not Phase.WELL and after[name].phase is Phase.WELL
    )
    gave_up = tuple(
        name
        for name, progress in before.items()
        if progress.phase is Phase.WELL and after[name].phase is Phase.GAVE_UP
    )
    brake = _brake(watch.brake, seen, now)
    watch = Watch({**watch.services, **after}, brake)
    due = _due(after, parents, seen)
    if brake.on:
        due = {name: max(at, brake.next_at) for name, at in due.items()}
    ready = [name for name, at in due.items() if at <= now]
    if ready:
        return Choice(watch, _first(ready, due, parents), None, recovered, gave_up)
    return Choice(watch, None, _wait(after, due, seen, ladders, now), recovered, gave_up)


def tried_under_brake(brake: Brake, *, proven: bool, now: float) -> Brake:
    """After a try: one that helped lets the next service be tried at once, one in vain doubles the wait."""
    if not brake.on:
        return brake
    if proven:
        return replace(brake, next_at=now, tries=0)
    wait = min(BRAKE_MAX_SECONDS, BRAKE_SECONDS * 2.0 ** min(brake.tries + 1, 16))
    return replace(brake, next_at=now + wait, tries=brake.tries + 1)


def fail_together(seen: Mapping[str, Seen]) -> list[str]:
    """The services that fail for reasons of their own, where they are too many for that; else nothing."""
    counted = [s for s in seen.values() if not s.maintenance and s.status is not Status.UNKNOWN]
    failing = [name for name, s in seen.items() if s.status is Status.FAIL and not s.held]
    together = len(failing) >= BRAKE_SERVICES and len(failing) > BRAKE_SHARE * len(counted)
    return failing if together else []


def ancestors(name: str, parents: Mapping[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    waiting = list(parents.get(name, ()))
    while waiting:
        parent = waiting.pop()
        if parent not in found and parent != name:
            found.add(parent)
            waiting += parents.get(parent, ())
    return found


def _brake(brake: Brake, seen: Mapping[str, Seen], now: float) -> Brake:
    if not fail_together(seen):
        return Brake()
    return brake if brake.on else Brake(since=now, next_at=now + BRAKE_SECONDS)


def _due(
    progress: Mapping[str, Progress], parents: Mapping[str, tuple[str, ...]], seen: Mapping[str, Seen]
) -> dict[str, float]:
    """When each service may have its next try; not those with a parent that is itself being recovered."""
    unwell = {name for name, p in progress.items() if p.phase is not Phase.WELL}
    unwell |= {name for name, s in seen.items() if s.status is Status.FAIL or s.doubtful}
    due = {}
    for name in progress:
        at = ready_at(progress[name], seen[name]) if name in seen else None
        if at is not None and not ancestors(name, parents) & unwell:
            due[name] = at
    return due


def _first(ready: list[str], due: Mapping[str, float], parents: Mapping[str, tuple[str, ...]]) -> str:
    """A parent before its children, then whoever has waited longest."""
    return min(ready, key=lambda name: (len(ancestors(name, parents)), due[name], name))


def _wait(
    progress: Mapping[str, Progress],
    due: Mapping[str, float],
    seen: Mapping[str, Seen],
    ladders: Mapping[str, Ladder],
    now: float,
) -> float | None:
    waits = [at - now for at in due.values()]
    if any(s.status is Status.FAIL for name, s in seen.items() if name in ladders):
        waits.append(LOOK_SECONDS)  # maintenance ends, flapping ends
    waits += [
        p.well_since + RESET_SECONDS - now
        for p in progress.values()
        if p.has_budget_used and p.well_since is not None
    ]
    return max(0.0, min(waits)) if waits else None
