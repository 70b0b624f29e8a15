"""The engine: journal before doing, undo in reverse up to the commit point, signals, and its last words."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from oatie_ops.deployment.engine import Engine, Outcome, Step, Voice
from oatie_ops.deployment.events import Event, Events, Notice, Output, Undoing
from oatie_ops.deployment.events import Step as StepEvent
from oatie_ops.deployment.interrupts import Interrupts
from oatie_ops.errors import Interrupted, OatieError
from oatie_ops.exit_codes import ExitCode


@dataclass
class Diary:
    """Context and journal in one: everything that happened, in the order in which it happened."""

    lines: list[str] = field(default_factory=list)
    full: bool = False

    def step(self, index: int, state: str) -> None:
        self.write(f"journal {index} {state}")

    def finish(self, outcome: str, detail: str = "") -> None:
        self.write(f"journal {outcome}")

    def write(self, line: str) -> None:
        if self.full and line.startswith("journal"):
            raise OSError(28, "No space left on device")
        self.lines.append(line)

    def done(self) -> list[str]:
        return [line for line in self.lines if not line.startswith("journal")]


class Run:
    def __init__(self, interrupts: Interrupts) -> None:
        self.diary = Diary()
        self.said: list[Event] = []
        self.interrupts = interrupts

    def __call__(self, *steps: Step[Diary]) -> Outcome:
        events = Events([self.said.append])
        return Engine(self.diary, self.diary, events, self.interrupts).run(steps)

    def states(self) -> list[str]:
        return [f"{e.step} {e.state}" for e in self.said if isinstance(e, StepEvent)]


@pytest.fixture
def run() -> Iterator[Run]:
    with Interrupts() as interrupts:
        yield Run(interrupts)


def step(
    name: str, during: Callable[[Diary], None] = lambda diary: None, *, commit: bool = False
) -> Step[Diary]:
    def do(diary: Diary, voice: Voice) -> str:
        diary.write(f"do {name}")
        during(diary)
        return f"{name} is done"

    def undo(diary: Diary) -> None:
        diary.write(f"undo {name}")

    return Step(name, f"why {name}", do, undo, f"how {name} is undone", commit=commit)


def fail(diary: Diary) -> None:
    raise OatieError("it broke", why="it was weak")


def kill(number: signal.Signals) -> Callable[[Diary], None]:
    return lambda diary: os.kill(os.getpid(), number)


def test_each_step_is_journalled_before_it_is_done(run: Run) -> None:
    outcome = run(step("one"), step("two", commit=True), step("three"))
    assert run.diary.lines == [
        *("journal 0 started", "do one", "journal 0 done"),
        *("journal 1 started", "do two", "journal 1 done"),
        *("journal 2 started", "do three", "journal 2 done"),
        "journal done",
    ]
    assert outcome == Outcome(committed=True)


def test_a_failure_undoes_the_failed_step_and_all_before_it_newest_first(run: Run) -> None:
    outcome = run(step("one"), step("two"), step("three", fail), step("four", commit=True))
    assert run.diary.done() == ["do one", "do two", "do three", "undo three", "undo two", "undo one"]
    assert run.diary.lines[-1] == "journal undone"
    assert "journal 2 failed" in run.diary.lines
    assert not outcome.committed
    assert outcome.failed_step == "three"
    assert outcome.error is not None
    assert outcome.error.why == "it was weak"


def test_a_step_without_undo_is_passed_over(run: Run) -> None:
    plain = Step[Diary]("plain", "", lambda diary, voice: "")
    run(step("one"), plain, step("three", fail))
    assert run.diary.done() == ["do one", "do three", "undo three", "undo one"]


def test_a_failure_after_the_commit_point_is_a_warning_and_nothing_is_undone(run: Run) -> None:
    outcome = run(step("one", commit=True), step("two", fail), step("three"))
    assert run.diary.done() == ["do one", "do two", "do three"]
    assert outcome.committed
    assert [warning.what for warning in outcome.warnings] == ["it broke"]


def test_a_commit_that_was_done_stands_even_if_it_cannot_be_recorded(run: Run) -> None:
    def fill(diary: Diary) -> None:
        diary.full = True

    outcome = run(step("one"), step("two", fill, commit=True))
    assert run.diary.done() == ["do one", "do two"]
    assert outcome.committed
    assert any("No space left" in warning.why for warning in outcome.warnings)


def test_a_failing_commit_step_is_undone_too(run: Run) -> None:
    outcome = run(step("one"), step("two", fail, commit=True))
    assert run.diary.done() == ["do one", "do two", "undo two", "undo one"]
    assert not outcome.committed


def test_an_unexpected_exception_is_undone_and_explained(run: Run) -> None:
    def stumble(diary: Diary) -> None:
        raise ZeroDivisionError("division by zero")

    outcome = run(step("one"), step("two", stumble))
    assert run.diary.done()[-2:] == ["undo two", "undo one"]
    assert outcome.error is not None
    assert outcome.error.what == "two failed unexpectedly"
    assert outcome.error.why == "ZeroDivisionError: division by zero"


def test_an_undo_that_fails_is_told_and_the_others_are_undone(run: Run) -> None:
    def stuck(diary: Diary) -> None:
        raise OatieError("cannot remove it", why="busy")

    broken = Step[Diary]("two", "", lambda diary, voice: "", stuck)
    outcome = run(step("one"), broken, step("three", fail))
    assert run.diary.done()[-1] == "undo one"
    assert outcome.leftovers == ("two: cannot remove it (busy)",)
    # The run stays open, so that the next command tries again.
    assert "journal undone" not in run.diary.lines


def test_a_journal_that_cannot_be_written_neither_stops_the_undo_nor_hides_the_error(run: Run) -> None:
    def fill(diary: Diary) -> None:
        diary.full = True
        raise OatieError("no space left")

    outcome = run(step("one"), step("two", fill))
    assert run.diary.done()[-2:] == ["undo two", "undo one"]
    assert outcome.error is not None
    assert outcome.error.what == "no space left"
    assert any("No space left on device" in leftover for leftover in outcome.leftovers)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_signal_in_any_step_before_the_commit_undoes_everything(
    run: Run, number: signal.Signals, code: ExitCode, position: int
) -> None:
    names = ["one", "two", "three"]
    steps = [step(name, kill(number)) if i == position else step(name) for i, name in enumerate(names)]
    outcome = run(*steps, step("commit", commit=True))
    begun = names[: position + 1]
    assert run.diary.done() == [*(f"do {n}" for n in begun), *(f"undo {n}" for n in reversed(begun))]
    assert isinstance(outcome.error, Interrupted)
    assert outcome.error.exit_code == code


def test_what_is_being_undone_is_said_before_anything_is_undone(run: Run) -> None:
    seen: list[int] = []

    def undo(diary: Diary) -> None:
        seen.append(sum(isinstance(event, Undoing) for event in run.said))

    run(Step[Diary]("one", "", lambda diary, voice: "", undo), step("two", kill(signal.SIGINT)))
    assert seen == [1]
    undoing = next(event for event in run.said if isinstance(event, Undoing))
    assert undoing.message == "interrupted by SIGINT, undoing two, one"


def test_a_signal_in_held_back_work_waits_for_its_end(run: Run) -> None:
    def careful(diary: Diary) -> None:
        with run.interrupts.held_back():
            os.kill(os.getpid(), signal.SIGTERM)
            diary.write("end of the careful part")
        diary.write("never")

    outcome = run(step("one", careful), step("two", commit=True))
    assert run.diary.done() == ["do one", "end of the careful part", "undo one"]
    assert isinstance(outcome.error, Interrupted)


def test_a_signal_whose_exception_is_swallowed_turns_back_at_the_end_of_the_step(run: Run) -> None:
    """As a finalizer does it, or a look that bears the failure of an attempt."""

    def bearing(diary: Diary) -> None:
        with suppress(OatieError):
            os.kill(os.getpid(), signal.SIGINT)
        diary.write("on it goes")

    outcome = run(step("one"), step("two", bearing), step("three", commit=True))
    assert run.diary.done() == ["do one", "do two", "on it goes", "undo two", "undo one"]
    assert outcome.error is not None
    assert outcome.error.exit_code == ExitCode.INTERRUPTED


def test_a_signal_that_the_work_tells_as_a_failure_of_its_own_is_told_as_the_signal(run: Run) -> None:
    def disguise(diary: Diary) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except OatieError as failure:
            raise OatieError("it broke") from failure

    outcome = run(step("one"), step("two", disguise), step("three"))
    assert isinstance(outcome.error, Interrupted)
    assert outcome.error.exit_code == ExitCode.TERMINATED


def test_a_signal_during_the_commit_step_is_too_late_and_said_so(run: Run) -> None:
    outcome = run(step("one"), step("two", kill(signal.SIGINT), commit=True), step("three"))
    assert outcome == Outcome(committed=True)
    assert run.diary.done() == ["do one", "do two", "do three"]
    notices = [event.message for event in run.said if isinstance(event, Notice)]
    assert notices == ["the signal came too late: the release serves already"]


def test_a_signal_while_undoing_changes_nothing(run: Run) -> None:
    def undo(diary: Diary) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        diary.write("undo to its end")

    outcome = run(step("one"), Step[Diary]("two", "", lambda diary, voice: "", undo), step("three", fail))
    assert run.diary.done()[-2:] == ["undo to its end", "undo one"]
    assert outcome.error is not None
    assert outcome.error.what == "it broke"


def test_a_second_signal_leaves_at_once_after_the_last_words(run: Run, tmp_path: object) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        run.interrupts.on_second = lambda code: (os.write(writer, f"last words, {code}".encode()), None)[1]

        def undo(diary: Diary) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            os.write(writer, b"never reached")

        run(Step[Diary]("one", "", lambda diary, voice: "", undo), step("two", kill(signal.SIGTERM)))
        os._exit(99)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "last words, 143"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == ExitCode.TERMINATED


def test_a_reader_that_is_gone_does_not_decide_how_the_run_ends(run: Run) -> None:
    heard: list[Event] = []

    def gone(event: Event) -> None:
        raise BrokenPipeError

    events = Events([gone, heard.append])
    outcome = Engine(run.diary, run.diary, events, run.interrupts).run([step("one", commit=True)])
    assert outcome.committed
    assert len(heard) == 2


def test_a_terminal_that_is_gone_ends_a_run_like_a_termination(run: Run) -> None:
    outcome = run(step("one"), step("two", kill(signal.SIGHUP)))
    assert run.diary.done()[-1] == "undo one"
    assert outcome.error is not None
    assert outcome.error.exit_code == ExitCode.TERMINATED


def test_a_signal_that_is_ignored_on_purpose_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup(1)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            interrupts.check()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_step_tells_what_it_waits_for_and_what_its_commands_print(run: Run) -> None:
    def do(diary: Diary, voice: Voice) -> str:
        voice.waiting("worker 1: status 503")
        voice.output("Collecting flask")
        return "note"

    run(Step[Diary]("gate", "", do))
    assert run.states() == ["gate started", "gate waiting", "gate done"]
    assert [event.line for event in run.said if isinstance(event, Output)] == ["Collecting flask"]
    assert [e.message for e in run.said if isinstance(e, StepEvent)][1:] == ["worker 1: status 503", "note"]
