"""Carries out a plan from its first event to its verdict: the one entrance for a deploy and a rollback."""

from __future__ import annotations

from oatie_ops.deployment.context import AnyDeployment
from oatie_ops.deployment.engine import Engine, Outcome
from oatie_ops.deployment.events import Events, Failure, Result, Serving, Status
from oatie_ops.deployment.facts import GAP_MS
from oatie_ops.deployment.lock import LockOwner
from oatie_ops.deployment.plan import Plan
from oatie_ops.deployment.targets.base import Running
from oatie_ops.errors import Interrupted, Locked, OatieError
from oatie_ops.exit_codes import ExitCode

# What fails here has changed nothing, so it keeps its own exit code (5, 6).
HARMLESS_STEPS = ("prerequisites", "lock")
MAX_REASON_CHARACTERS = 240
# A supervisor is there and does not answer.
UNKNOWN = Running(supervisor_pid=0, release=None, state="unknown", app_url=None, ops_url=None)


def conduct(plan: Plan, run: AnyDeployment, events: Events) -> Result:
    """Says everything but the plan and the result: these are the caller's first and last word."""
    try:
        return _conduct(plan, run, events)
    finally:
        run.close()


def _conduct(plan: Plan, run: AnyDeployment, events: Events) -> Result:
    outcome = Engine(run, run.journal, events, run.interrupts).run(plan.steps)
    running = _look(run, events)
    result = verdict(outcome, running, run.release, run.known_previous)
    for warning in outcome.warnings:
        events.notice(f"{warning.what}: {warning.why}. Release {run.release} serves all the same")
    for database in run.kept_data:
        events.notice(f"the data that release {run.release} made is kept: {database}")
    for leftover in outcome.leftovers:
        events.notice(f"could not be undone, the next command tries again: {leftover}")
    if outcome.error is not None:
        events.say(Failure(outcome.error, result.exit_code))
    if running is not UNKNOWN:
        events.say(serving(running, _other_run(run)))
    try:
        remember(run, result, outcome)
    except OatieError as error:
        events.notice(f"the audit could not be written: {error.what} ({error.why})")
    return result


def _other_run(run: AnyDeployment) -> LockOwner | None:
    if run.lock.held:
        return None
    try:
        return run.lock.holder()
    except Locked:
        return None


def _look(run: AnyDeployment, events: Events) -> Running | None:
    try:
        return run.target.running()
    except OatieError as error:
        events.notice(f"what serves now is not known: {error.what} ({error.why})")
        return UNKNOWN


def verdict(outcome: Outcome, running: Running | None, release: int | None, previous: int | None) -> Result:
    """Pure. What failed before anything changed is a failure; after that it matters who serves now."""
    if outcome.committed:
        return Result("deployed", release, previous, ExitCode.OK)
    assert outcome.error is not None
    still_serves = running is not None and running.serves
    status: Status = "rolled_back" if still_serves else "failed"
    if isinstance(outcome.error, Interrupted):
        return Result(status, release, previous, outcome.error.exit_code)
    if outcome.failed_step in HARMLESS_STEPS:
        return Result("failed", release, previous, outcome.error.exit_code)
    return Result(status, release, previous, ExitCode.ROLLED_BACK if still_serves else ExitCode.FAILED)


def serving(running: Running | None, other: LockOwner | None = None) -> Serving:
    """``other`` holds the deploy lock: a switch that is under way is its, not one of this run."""
    if running is None:
        return Serving(None, None, None)
    deploying = running.candidate if other is not None else None
    pid = other.identity.pid if other is not None and deploying is not None else None
    if running.answering is None:
        return Serving(None, None, None, deploying, pid)
    return Serving(running.answering, running.app_url, running.ops_url, deploying, pid)


def remember(run: AnyDeployment, result: Result, outcome: Outcome) -> None:
    """Who did what, when, from where, with what result. Nothing is made where there is no store yet."""
    store, error = run.store_if_any(), outcome.error
    if store is None:
        return
    if error is not None and run.release is not None and run.facts.kind == "deploy":
        store.releases.mark(run.release, "bad", f"{outcome.failed_step}: {_in_short(error)}")
    subject = run.facts.app.name if result.release is None else f"release {result.release}"
    detail = f"{error.what}: {error.why}" if error is not None else ""
    store.audit.add(run.who.actor, run.who.origin, run.facts.kind, subject, result.status, detail)
    message = f"{run.facts.kind} of {subject}: {result.status.replace('_', ' ')}"
    store.events.add(
        run.facts.kind,
        run.facts.app.name,
        f"{message} ({error.what})" if error else message,
        {
            **{key: result.as_dict()[key] for key in ("release", "previous", "exit_code")},
            **({} if run.gap_ms is None else {GAP_MS: run.gap_ms}),
        },
    )


def _in_short(error: OatieError) -> str:
    text = " ".join((f"{error.what}: {error.why}" if error.why else error.what).split())
    return text if len(text) <= MAX_REASON_CHARACTERS else f"{text[: MAX_REASON_CHARACTERS - 1]}…"
