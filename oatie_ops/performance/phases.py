"""Where the time of one start went, from the moments that were noted on the way. All pure.

Every moment is monotonic time of one clock for all processes of the machine, so a clock that is set changes
nothing. ``Mark.cpu`` is processor time that the process had used until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

SPAWN, INTERPRETER, IMPORTS, LOAD = "spawn", "interpreter", "imports", "application load"
LIFESPAN, READY, ACCEPT = "lifespan", "ready", "accept"
LISTEN = "listening"
DEPENDENCIES, FIRST_REQUEST = "dependencies reached", "first request"
MEANINGS = {
    SPAWN: "from the decision to the new process",
    INTERPRETER: "the Python interpreter; shared by the workers of a release, the first one waits for it",
    IMPORTS: "the server's own modules; shared in the same way",
    LOAD: "importing the application's modules, calling its factory",
    LIFESPAN: "the application's own startup (ASGI lifespan)",
    LISTEN: "until the program listened on its port",
    READY: "until the ready path answered",
    ACCEPT: "until it accepted on the public socket",
    DEPENDENCIES: "connections to other services that were waited for; within the phases above",
    FIRST_REQUEST: "from serving to the first answer to a user",
}


@dataclass(frozen=True)
class Mark:
    """``queued``: seconds until then in which it could have run and another had the processor."""

    at: float
    cpu: float | None = None
    queued: float | None = None


@dataclass(frozen=True)
class Phase:
    """``start`` in seconds since the start began. ``cpu_seconds`` None: not known from outside."""

    name: str
    start: float
    seconds: float
    cpu_seconds: float | None = None
    queued_seconds: float | None = None

    @property
    def waiting_seconds(self) -> float | None:
        """In which it waited for something else than the processor (which only Linux tells apart)."""
        if self.cpu_seconds is None:
            return None
        return max(0.0, self.seconds - self.cpu_seconds - (self.queued_seconds or 0.0))


@dataclass(frozen=True)
class Dependency:
    """One connection that was made on the way. ``seconds`` None: seen at the end, not measured."""

    address: str
    start: float
    seconds: float | None
    ok: bool
    service: str = ""  # as declared in [services], where it is one


@dataclass(frozen=True)
class Start:
    """``seconds``: from the decision until it served. ``first_request`` is outside of it."""

    seconds: float
    phases: tuple[Phase, ...]
    dependencies: tuple[Dependency, ...] = ()
    first_request: Phase | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def all_phases(self) -> tuple[Phase, ...]:
        """With those that do not follow the others: the dependencies and the first request."""
        beside = (self.reached, self.first_request)
        return (*self.phases, *(phase for phase in beside if phase is not None))

    def phase(self, name: str) -> Phase | None:
        return next((phase for phase in self.phases if phase.name == name), None)

    @property
    def reached(self) -> Phase | None:
        """From the first connection that was begun to the last that was made."""
        timed = [one for one in self.dependencies if one.seconds is not None]
        if not timed:
            return None
        first = min(one.start for one in timed)
        last = max(one.start + (one.seconds or 0.0) for one in timed)
        return Phase(DEPENDENCIES, first, last - first)


# The ways of a start: (phase, the mark that ends it), in order.
PYTHON = (
    (SPAWN, "born"),
    (LOAD, "loaded"),
    (LIFESPAN, "booted"),
    (READY, "gated"),
    (ACCEPT, "serving"),
)
PROGRAM = ((LISTEN, "listening"), (READY, "gated"), (ACCEPT, "serving"))


def phases_of(began: float, marks: Mapping[str, Mark], way: Sequence[tuple[str, str]]) -> tuple[Phase, ...]:
    """One after the other without a hole; a moment that nobody noted belongs to the phase after it."""
    found: list[Phase] = []
    before = Mark(began, 0.0, 0.0)
    for name, mark_name in way:
        mark = marks.get(mark_name)
        if mark is None:
            continue
        cpu, queued = _more(before.cpu, mark.cpu), _more(before.queued, mark.queued)
        found.append(Phase(name, before.at - began, max(0.0, mark.at - before.at), cpu, queued))
        before = Mark(
            max(before.at, mark.at),
            before.cpu if mark.cpu is None else mark.cpu,
            before.queued if mark.queued is None else mark.queued,
        )
    return tuple(found)


def _more(before: float | None, now: float | None) -> float | None:
    return None if now is None else max(0.0, now - (before or 0.0))


def with_interpreter(began: float, phases: Sequence[Phase], marks: Mapping[str, Mark]) -> tuple[Phase, ...]:
    """What of the spawn was waiting for the fork server's interpreter and imports, as phases of their own."""
    entered, imported = marks.get("entered"), marks.get("imported")
    if not phases or phases[0].name != SPAWN or entered is None or imported is None:
        return tuple(phases)
    spawn = phases[0]
    end = spawn.start + spawn.seconds
    first = min(max(0.0, entered.at - began), end)
    second = min(max(first, imported.at - began), end)
    spawned = marks.get("spawned", Mark(began))
    parts = (
        _shared(Phase(INTERPRETER, 0.0, first), entered.at - spawned.at, entered.cpu, None),
        _shared(
            Phase(IMPORTS, first, second - first),
            imported.at - entered.at,
            _more(entered.cpu, imported.cpu),
            imported.queued,
        ),
        Phase(SPAWN, second, end - second, spawn.cpu_seconds, spawn.queued_seconds),
    )
    return (*(part for part in parts if part.seconds > 0 or part.name == SPAWN), *phases[1:])


def _shared(phase: Phase, whole_seconds: float, cpu: float | None, queued: float | None) -> Phase:
    """The part of the fork server's own way that this start had to wait for."""
    if cpu is None or whole_seconds <= 0:
        return phase
    part = phase.seconds / whole_seconds
    return replace(
        phase,
        cpu_seconds=min(phase.seconds, cpu * part),
        queued_seconds=None if queued is None else min(phase.seconds, queued * part),
    )


def bottleneck(phases: Iterable[Phase]) -> Phase | None:
    return max(phases, key=lambda phase: phase.seconds, default=None)


def to_json(start: Start) -> dict[str, Any]:
    """What is stored and answered; `from_json` reads it back."""
    return {
        "seconds": round(start.seconds, 6),
        "phases": [_phase(phase) for phase in start.phases],
        "dependencies": [
            {
                "address": one.address,
                "service": one.service or None,
                "start": round(one.start, 6),
                "seconds": None if one.seconds is None else round(one.seconds, 6),
                "ok": one.ok,
            }
            for one in start.dependencies
        ],
        "first_request": None if start.first_request is None else _phase(start.first_request),
        "facts": dict(start.facts),
    }


def from_json(data: Mapping[str, Any]) -> Start:
    first = data.get("first_request")
    return Start(
        seconds=float(data["seconds"]),
        phases=tuple(_read_phase(phase) for phase in data.get("phases", ())),
        dependencies=tuple(
            Dependency(
                str(one["address"]),
                float(one["start"]),
                one["seconds"],
                bool(one["ok"]),
                one["service"] or "",
            )
            for one in data.get("dependencies", ())
        ),
        first_request=None if first is None else _read_phase(first),
        facts=dict(data.get("facts", {})),
    )


def _phase(phase: Phase) -> dict[str, Any]:
    cpu, queued = phase.cpu_seconds, phase.queued_seconds
    return {
        "name": phase.name,
        "start": round(phase.start, 6),
        "seconds": round(phase.seconds, 6),
        "cpu_seconds": None if cpu is None else round(cpu, 6),
        "queued_seconds": None if queued is None else round(queued, 6),
    }


def _read_phase(data: Mapping[str, Any]) -> Phase:
    return Phase(
        str(data["name"]),
        float(data["start"]),
        float(data["seconds"]),
        data.get("cpu_seconds"),
        data.get("queued_seconds"),
    )
