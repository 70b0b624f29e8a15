"""Runs a plan: journal each step, do it, and on a failure or a signal undo in reverse.

The rules are all here: a step is journalled *before* it is done; what fails before the commit point is
undone step by step, the newest first; what fails after it is reported, because the new release serves
already. A step whose `do` was cut off half-way is undone too, so every `undo` tolerates work half done.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from oatie_ops.deployment.events import Event, Events, Output, PlannedStep, Undoing
from oatie_ops.deployment.events import Step as StepEvent
from oatie_ops.deployment.interrupts import Interrupts
from oatie_ops.errors import Interrupted, OatieError

C = TypeVar("C")


# A wait that is polled many times a second is told once a second.
TELL_SECONDS = 1.0


class Voice:
    """How the step that runs tells what it waits for, and passes on what a command prints."""

    def __init__(self, step: str, events: Events, clock: Callable[[], float] = time.monotonic) -> None:
        self._step, self._events, self._clock = step, events, clock
        self._started_at = clock()
        self._told_at: float | None = None

    @property
    def seconds(self) -> float:
        return self._clock() - self._started_at

    def waiting(self, message: str) -> None:
        now = self._clock()
        if self._told_at is not None and now - self._told_at < TELL_SECONDS:
            return
        self._told_at = now
        self._say(StepEvent(self._step, "waiting", self.seconds, message))

    def output(self, line: str) -> None:
        self._say(Output(self._step, line))

    def notice(self, message: str) -> None:
        self._events.notice(message)

    def _say(self, event: Event) -> None:
        self._events.say(event)


@dataclass(frozen=True)
class Step(Generic[C]):
    """One thing to do. ``do`` answers with a short note of what it did; ``undo`` is idempotent.

    ``commit``: once it is done nothing is undone any more, and signals no longer turn back.
    """

    name: str
    why: str
    do: Callable[[C, Voice], str]
    undo: Callable[[C], None] | None = None
    undo_why: str = ""
    commit: bool = False

    def planned(self) -> PlannedStep:
        return PlannedStep(self.name, self.why, self.undo_why)


class Journal(Protocol):
    """What survives a SIGKILL. Every call is on disk when it returns."""

    def step(self, index: int, state: str) -> None: ...

    def finish(self, outcome: str, detail: str = "") -> None: ...


@dataclass(frozen=True)
class Outcome:
    """``error`` is why the run stopped before its commit point; ``leftovers`` what could not be undone."""

    committed: bool
    error: OatieError | None = None
    failed_step: str = ""
    leftovers: tuple[str, ...] = ()
    warnings: tuple[OatieError, ...] = ()


@dataclass
class Engine(Generic[C]):
    """Executes the steps of one run over one context; used once."""

    context: C
    journal: Journal
    events: Events
    interrupts: Interrupts
    clock: Callable[[], float] = time.monotonic
    _begun: list[int] = field(default_factory=list)
    _committed: bool = False

    def run(self, steps: Sequence[Step[C]]) -> Outcome:
        warnings: list[OatieError] = []
        for index, step in enumerate(steps):
            try:
                self._do(index, step)
            except Exception as failure:  # noqa: BLE001 - undone and reported, whatever it was
                error = as_oatie_error(failure, step.name)
                if not self._committed:
                    return self._turn_back(steps, step, error)
                warnings.append(error)
        if self.interrupts.came_too_late:
            self.events.notice("the signal came too late: the release serves already")
        leftover = self._record(lambda: self.journal.finish("done"))
        return Outcome(True, leftovers=(leftover,) if leftover else (), warnings=tuple(warnings))

    def _do(self, index: int, step: Step[C]) -> None:
        self.interrupts.check()
        self.journal.step(index, "started")
        self._begun.append(index)
        voice = Voice(step.name, self.events, self.clock)
        self.events.say(StepEvent(step.name, "started"))
        try:
            with nullcontext() if step.commit else self.interrupts.armed():
                note = step.do(self.context, voice)
            if step.commit:  # from here on, even if not a byte can be written any more
                self._committed = True
                self.interrupts.too_late()
            self.journal.step(index, "done")
        except Exception as failure:
            error = as_oatie_error(failure, step.name)
            self.events.say(StepEvent(step.name, "failed", voice.seconds, error.what))
            raise
        self.events.say(StepEvent(step.name, "done", voice.seconds, note))

    def _turn_back(self, steps: Sequence[Step[C]], failed: Step[C], error: OatieError) -> Outcome:
        self.interrupts.turn_back()
        undoable = [index for index in reversed(self._begun) if steps[index].undo is not None]
        if undoable:
            cause = error.what if isinstance(error, Interrupted) else f"{failed.name} failed"
            self.events.say(Undoing(f"{cause}, undoing {', '.join(steps[i].name for i in undoable)}"))
        attempts = [self._record(lambda: self.journal.step(steps.index(failed), "failed"))]
        attempts += [self._undo(index, steps[index]) for index in undoable]
        leftovers = [message for message in attempts if message]
        if not leftovers:  # otherwise it stays open, so that the next command's `reconcile` tries again
            leftovers += filter(None, [self._record(lambda: self.journal.finish("undone", error.what))])
        return Outcome(False, error, failed.name, tuple(leftovers))

    def _undo(self, index: int, step: Step[C]) -> str:
        """Empty when it worked, else what is left behind."""
        assert step.undo is not None
        voice = Voice(step.name, self.events, self.clock)
        self.events.say(StepEvent(step.name, "undoing", message=step.undo_why))
        try:
            step.undo(self.context)
            self.journal.step(index, "undone")
        except Exception as failure:  # noqa: BLE001 - the other steps still have to be undone; reported
            error = as_oatie_error(failure, step.name)
            self.events.say(StepEvent(step.name, "failed", voice.seconds, f"undo: {error.what}"))
            return f"{step.name}: {error.what}" + (f" ({error.why})" if error.why else "")
        self.events.say(StepEvent(step.name, "undone", voice.seconds))
        return ""

    def _record(self, write: Callable[[], None]) -> str:
        """A journal that cannot be written (a full disk) must not hide the verdict, nor stop the undo."""
        try:
            write()
        except Exception as failure:  # noqa: BLE001 - reported among the leftovers
            return f"journal: {as_oatie_error(failure, 'journal').why}"
        return ""


def as_oatie_error(failure: Exception, step: str) -> OatieError:
    """Anything that a step raised, as something that an operator can read."""
    if isinstance(failure, OatieError):
        return failure
    return OatieError(
        f"{step} failed unexpectedly",
        why="".join(traceback.format_exception_only(failure)).strip(),
        fix="if this is not a full disk or a permission, it is a bug in oatie: please report it",
        details=traceback.format_tb(failure.__traceback__)[-3:],
    )
