"""What a run says while it works: one typed event per fact, rendered by whoever listens.

`oatie deploy --json` prints `Event.as_dict` of each, one per line; the terminal draws the same events.
The last one is always `Result`, also after a failure or an interruption.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode

Status = Literal["deployed", "rolled_back", "failed", "planned"]
StepState = Literal["started", "waiting", "done", "failed", "undoing", "undone"]


@dataclass(frozen=True)
class Event:
    """Base of all events. ``as_dict`` is the stable ``--json`` form; it only ever gains keys."""

    name: ClassVar[str] = "event"

    def as_dict(self) -> dict[str, Any]:
        values = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        return {"event": self.name, "at": round(time.time(), 3), **values}


@dataclass(frozen=True)
class PlannedStep:
    name: str
    why: str
    undo: str


@dataclass(frozen=True)
class Planned(Event):
    """The steps that will run, in order, and what the operator should know before they do."""

    name: ClassVar[str] = "plan"
    title: str
    steps: tuple[PlannedStep, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Notice(Event):
    """Something worth a line that is not a step: the demo was chosen, leftovers were undone."""

    name: ClassVar[str] = "notice"
    message: str


@dataclass(frozen=True)
class Step(Event):
    """A step changed its state, or says what it waits for. ``seconds`` count from its start."""

    name: ClassVar[str] = "step"
    step: str
    state: StepState
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True)
class Output(Event):
    """One line that a build or release command printed."""

    name: ClassVar[str] = "output"
    step: str
    line: str


@dataclass(frozen=True)
class Undoing(Event):
    """Said at once when a run fails or is interrupted, before anything is undone."""

    name: ClassVar[str] = "undoing"
    message: str


@dataclass(frozen=True)
class Failure(Event):
    """Why the run did not reach its goal. ``exit_code`` is that of the run, which depends on what serves."""

    name: ClassVar[str] = "error"
    error: OatieError
    exit_code: ExitCode

    def as_dict(self) -> dict[str, Any]:
        error = {**self.error.as_dict(), "exit_code": int(self.exit_code)}
        return {"event": self.name, "at": round(time.time(), 3), "error": error}


@dataclass(frozen=True)
class Serving(Event):
    """What serves after the run, and where the application and the ops API answer; all None: nothing.

    ``deploying`` is a release that another process is just deploying or rolling back to: its pid is
    ``deploying_pid``, where it is known.
    """

    name: ClassVar[str] = "serving"
    release: str | None
    app: str | None
    ops: str | None
    deploying: str | None = None
    deploying_pid: int | None = None


@dataclass(frozen=True)
class Result(Event):
    """The verdict, always the last event. ``release`` is the one that the run was about.

    Releases are strings in JSON, as everywhere: what serves may also be called ``checkout``.
    """

    name: ClassVar[str] = "result"
    status: Status
    release: int | None
    previous: int | None
    exit_code: ExitCode

    def as_dict(self) -> dict[str, Any]:
        return {
            "event": self.name,
            "status": self.status,
            "release": None if self.release is None else str(self.release),
            "previous": None if self.previous is None else str(self.previous),
            "exit_code": int(self.exit_code),
        }


Listener = Callable[[Event], None]


class Events:
    """Hands each event to every listener, in order, in the thread that says it.

    ``guard`` is entered around that, so that a signal does not cut an event in half. A listener that can no
    longer be written to (a pipe that was closed, a terminal that is gone) is left out from then on: who
    reads along must not decide how a run ends.
    """

    def __init__(
        self,
        listeners: Iterable[Listener] = (),
        guard: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._listeners = list(listeners)
        self._guard = guard

    def say(self, event: Event) -> None:
        with self._guard():
            for listener in tuple(self._listeners):
                try:
                    listener(event)
                except OSError:
                    self._listeners.remove(listener)

    def notice(self, message: str) -> None:
        self.say(Notice(message))


def _plain(value: Any) -> Any:
    if isinstance(value, PlannedStep):
        return {"name": value.name, "why": value.why, "undo": value.undo}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 3)
    return value
