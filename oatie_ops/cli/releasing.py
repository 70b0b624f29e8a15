"""What `oatie deploy` and `oatie rollback` share: display, signals, the verdict as the last word."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from oatie_ops.cli import github, output
from oatie_ops.cli.closed_stdout import leave_quietly
from oatie_ops.cli.progress import display
from oatie_ops.deployment.conduct import conduct
from oatie_ops.deployment.context import AnyDeployment, Deployment
from oatie_ops.deployment.events import Event, Events, Failure, Planned, Result, Serving
from oatie_ops.deployment.facts import Facts, Kind
from oatie_ops.deployment.interrupts import Interrupts
from oatie_ops.deployment.lock import DeployLock
from oatie_ops.deployment.plan import Plan
from oatie_ops.deployment.plan import plan as make_plan
from oatie_ops.deployment.prerequisites import problems
from oatie_ops.deployment.reconcile import reconcile, unsettled
from oatie_ops.deployment.run_journal import RunJournal
from oatie_ops.deployment.targets.base import DeployTarget
from oatie_ops.deployment.who import Who
from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.spec import CHECKOUT

SHOW_CURSOR = "\x1b[?25h"


@dataclass(frozen=True)
class Order:
    """Who wants it and how, as the command line said; nothing about the application."""

    who: Who
    health_check: bool = True
    dry_run: bool = False
    yes: bool = False
    wait_lock_seconds: float = 0.0


@dataclass(frozen=True)
class Found:
    """What looking around has found: all that the plan is made of, and where it will be carried out."""

    facts: Facts
    target: DeployTarget
    paths: StatePaths


# A result at once where there is nothing to do.
LookAround = Callable[[Events], Found | Result]


def release_command(look_around: LookAround, order: Order, *, as_json: bool, kind: Kind = "deploy") -> int:
    """Runs a deploy or rollback to its exit code. The result event comes last, whatever happens."""
    closing = Closing(kind)
    screen = display(as_json=as_json, schema=f"oatie.{kind}/v1")
    with Interrupts() as interrupts:
        events = Events([screen, closing], guard=interrupts.held_back)
        try:
            with interrupts.armed():
                found = look_around(events)
                decided = found if isinstance(found, Result) else decide(found, order, events, screen.opening)
            if isinstance(decided, Result):
                result = decided
            else:
                assert isinstance(found, Found)
                run = deployment(found, decided, order, interrupts)
                interrupts.on_second = lambda code: _last_words(run, code, kind if as_json else None)
                with screen:
                    result = conduct(decided, run, events)
        except Exception as failure:  # noqa: BLE001 - reported, with a crash file where it is a bug
            error = failure if isinstance(failure, OatieError) else _crash(failure)
            events.say(Failure(error, error.exit_code))
            result = Result("failed", None, None, error.exit_code)
        events.say(result)
    try:
        if not as_json:
            closing.tell()
        closing.summarize()
        sys.stdout.flush()
    except OSError:  # nobody reads the verdict any more; the exit code is one all the same
        leave_quietly()
    return result.exit_code


def settle_leftovers(paths: StatePaths, order: Order, events: Events) -> None:
    """What a killed run left is put in order before anything is looked at. A dry run only tells."""
    if order.dry_run:
        if unsettled(paths):
            events.notice("an earlier run was killed; a real run would first put in order what it left")
        return
    for done in reconcile(paths, actor=order.who.actor):
        events.notice(done.message)


def decide(
    found: Found, order: Order, events: Events, opening: Callable[[], None] = lambda: None
) -> Plan | Result:
    """The plan that will be carried out, or the answer of a dry run, which ends as the run would now.

    ``opening`` shows what a person has to know before the question.
    """
    plan = make_plan(found.facts)
    events.say(plan.event())
    if order.dry_run:
        missing = problems(found.facts)
        for problem in missing:
            events.notice(f"would fail now: {problem.what} ({problem.why}); {problem.fix}")
        code = ExitCode.PREREQUISITE_MISSING if missing else ExitCode.OK
        return Result("planned", found.facts.release, found.facts.previous, code)
    opening()
    if plan.gap and not order.yes and not confirm():
        raise OatieError("not confirmed: nothing has been changed", fix="`--yes` goes on without asking")
    return plan


def deployment(found: Found, plan: Plan, order: Order, interrupts: Interrupts) -> AnyDeployment:
    return Deployment(
        facts=found.facts,
        paths=found.paths,
        journal=RunJournal(found.facts.kind, order.who.actor, [step.name for step in plan.steps]),
        target=found.target,
        interrupts=interrupts,
        who=order.who,
        lock=DeployLock(found.paths.deploy_lock),
        wait_lock_seconds=order.wait_lock_seconds,
    )


class Closing:
    """Keeps what a person reads at the end, below the list of steps."""

    def __init__(self, kind: Kind) -> None:
        self._kind: Kind = kind
        self._plan: Planned | None = None
        self._failure: OatieError | None = None
        self._serving: Serving | None = None
        self._result: Result | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case Planned():
                self._plan = event
            case Failure():
                self._failure = event.error
            case Serving():
                self._serving = event
            case Result():
                self._result = event

    def summarize(self) -> None:
        """For the CI system, where one was named."""
        if not github.wanted() or self._result is None:
            return
        if self._failure is not None:
            github.annotate(self._failure)
        result = self._result.as_dict()
        row = [result[key] or "" for key in ("status", "release", "previous", "exit_code")]
        row[-1] = result["exit_code"]
        said = (self._failure.what, self._failure.why) if self._failure else ()
        why = ": ".join(filter(None, said))
        github.summarize(f"oatie {self._kind}", ("status", "release", "previous", "exit code"), [row], why)

    def tell(self) -> None:
        if self._failure is not None:
            output.report_error(self._failure)
        assert self._result is not None, "the result is always said"
        if self._result.status == "planned" and self._plan is not None:
            output.emit_report("\n".join(plan_lines(self._plan)))
        elif lines := verdict_lines(self._kind, self._result, self._serving, self._failure):
            output.emit_report("\n".join(lines))


def plan_lines(plan: Planned) -> list[str]:
    """The steps with why, and what undoes each of them."""
    width = max(len(step.name) for step in plan.steps)
    lines = [plan.title]
    for number, step in enumerate(plan.steps, 1):
        lines.append(f"{number:>3}. {step.name:<{width}}  {step.why}")
        if step.undo:
            lines.append(f"     {'':<{width}}  {output.paint(f'undo: {step.undo}', 'dim', sys.stdout)}")
    return [*lines, *(f"note: {note}" for note in plan.notes)]


def verdict_lines(
    kind: Kind, result: Result, serving: Serving | None, failure: OatieError | None = None
) -> list[str]:
    """The last lines: how it ended, and what serves where."""
    if serving is None:  # it ended before anything was looked at or changed
        return []
    label, style = _label(kind, result, serving)
    lines = [f"{output.paint(label, style, sys.stdout)} {_what_serves(kind, result, serving, failure)}"]
    if result.status == "deployed" and serving.ops:
        lines.append(f"health and operations: {serving.ops}")
    return lines


def _label(kind: Kind, result: Result, serving: Serving) -> tuple[str, str]:
    if result.status == "deployed" and kind == "rollback" and result.previous == result.release:
        return f"release {result.release}:", "green"  # nothing was to be done, or it was started again
    if result.status == "deployed":
        return ("deployed:" if kind == "deploy" else f"rolled back to release {result.release}:"), "green"
    if serving.release is None and serving.deploying is None:
        return "failed:", "red"
    if result.status == "rolled_back":
        return ("rolled back:" if kind == "deploy" else "not rolled back:"), "yellow"
    return "failed:", "yellow"


def _what_serves(kind: Kind, result: Result, serving: Serving, failure: OatieError | None) -> str:
    where = f" on {serving.app}" if serving.app else ""
    if serving.deploying is not None:
        by = f" by process {serving.deploying_pid}" if serving.deploying_pid else ""
        going_on = f"release {serving.deploying} is being deployed{by}"
        if serving.release is None:
            return f"nothing serves yet; {going_on}"
        if serving.release == serving.deploying:
            return f"{going_on} and serves{where}"
        return f"{_named(serving.release)} serves{where}; {going_on}"
    if serving.release is None:
        # What was missing for this run is missing for a start, too.
        ready = failure is None or failure.exit_code not in (
            ExitCode.PREREQUISITE_MISSING,
            ExitCode.LOCKED,
        )
        again = f"; `oatie start` serves release {result.previous} again" if result.previous and ready else ""
        return f"nothing serves{again}"
    if result.status == "deployed" and kind == "rollback":
        return f"it serves{where}"
    still = "" if result.status == "deployed" else "still "
    return f"{_named(serving.release)} {still}serves{where}"


def _named(release: str) -> str:
    return "this checkout" if release == CHECKOUT else f"release {release}"


def confirm() -> bool:
    """Asks about the gap that the plan tells of, only where somebody can answer; elsewhere it is yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or os.environ.get("CI"):
        return True
    sys.stderr.write("nothing answers meanwhile: go on? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _last_words(run: AnyDeployment, code: ExitCode, kind: Kind | None) -> None:
    """In a signal handler: straight to the descriptors, since a buffered stream may be in use."""
    text = "leaving at once: the next oatie command undoes what is left\n"
    os.write(2, (f"{SHOW_CURSOR}\n{text}" if output.is_terminal(sys.stderr) else text).encode())
    if kind is not None:  # with --json
        result = Result("failed", run.release, run.known_previous, code)
        line = {**result.as_dict(), "schema": f"oatie.{kind}/v1"}
        os.write(1, json.dumps(line).encode() + b"\n")


def _crash(failure: Exception) -> OatieError:
    from oatie_ops.cli.crash import crash_error

    return crash_error(failure, sys.argv[1:])
