"""What a killed run left behind, finished or undone by the next command.

A run is left behind when its journal is open and its owner is dead. Its lease on the supervisor's switch
ended with it, so the supervisor steps back by itself; here its records and files are brought in line with
what really serves. Every command that changes something calls `reconcile` first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, Protocol

from oatie_ops.deployment.lock import DeployLock
from oatie_ops.deployment.manifest import ReleaseUnusable, read
from oatie_ops.deployment.prune import remove_leftovers
from oatie_ops.deployment.releases import MANIFEST, remove_release
from oatie_ops.deployment.targets.base import Running
from oatie_ops.deployment.targets.engine import Place
from oatie_ops.errors import Locked, OatieError
from oatie_ops.paths import StatePaths
from oatie_ops.store import Release, Run, Store

COMMIT_STEP = "mark-good"
START_STEP = "start-supervisor"
SETTLE_SECONDS = 20.0
LAST_CLIENTS_SECONDS = 5.0
POLL_SECONDS = 0.05

Decision = Literal["finish", "undo"]


class Observed(Protocol):
    """The part of `SwitchTarget` that is needed to clear up."""

    def running(self) -> Running | None: ...

    def leave_if_empty(self) -> None: ...


@dataclass(frozen=True)
class Reconciled:
    """One run that was put in order, and a sentence about it for the operator."""

    run: Run
    decision: Decision
    message: str


def reconcile(paths: StatePaths, *, actor: str = "reconcile") -> list[Reconciled]:
    """Puts in order what killed runs left. Does nothing, and waits for nobody, while a run is going on."""
    if not unsettled(paths):
        return []
    from oatie_ops.deployment.targets.process import ProcessSupervisor

    lock = DeployLock(paths.deploy_lock)
    try:
        lock.acquire("reconcile", actor=actor)
    except Locked:
        return []
    try:
        with Store.open(paths.database) as store:
            return settle(store, paths, ProcessSupervisor(paths))
    finally:
        lock.release()


def unsettled(paths: StatePaths) -> bool:
    """Is there a run without an end, or a release without one? True while a run is going on, too."""
    if not paths.database.exists():
        return False
    with Store.open(paths.database) as store:
        return bool(store.journal.unfinished()) or any(map(_half_made, store.releases.list()))


def settle(
    store: Store, paths: StatePaths, target: Observed, settle_seconds: float = SETTLE_SECONDS
) -> list[Reconciled]:
    """The same for a caller that holds the deploy lock."""
    dead = [run for run in store.journal.unfinished() if not run.owner.alive()]
    done = [_settle_run(store, paths, run, target, settle_seconds) for run in dead]
    _sweep(store, paths)
    return done


def decide(run: Run, running: Running | None) -> Decision:
    """Forward only where the new release has survived its bake and nothing else serves in its place."""
    committing = any(step.name == COMMIT_STEP and step.state is not None for step in run.steps)
    if not committing:
        return "undo"
    if running is None or not running.serves:
        return "finish"
    return "finish" if running.release == str(run.release) else "undo"


def _settle_run(store: Store, paths: StatePaths, run: Run, target: Observed, seconds: float) -> Reconciled:
    place = _place(paths, run)
    if place is not None:
        return _settle_at_engine(store, paths, run, place)
    _wait_until_stepped_back(run, target, seconds)
    running = target.running()
    decision = decide(run, running)
    if decision == "finish":
        return Reconciled(run, decision, _finish(store, run, running))
    if any(step.name == START_STEP and step.state is not None for step in run.steps):
        target.leave_if_empty()
        running = target.running()
    return Reconciled(run, decision, _undo(store, paths, run, running))


def _place(paths: StatePaths, run: Run) -> Place | None:
    """The engine that its release was put on; None where it runs as processes, or was not recorded yet."""
    directory = paths.releases / str(run.release)
    if run.release is None or not (directory / MANIFEST).exists():
        return None
    try:
        return read(directory).place
    except ReleaseUnusable:
        return None


def _settle_at_engine(store: Store, paths: StatePaths, run: Run, place: Place) -> Reconciled:
    from oatie_ops.deployment.targets.registry import placed

    engine = placed(place, paths)
    committing = any(step.name == COMMIT_STEP and step.state is not None for step in run.steps)
    decision = engine.settle(str(run.release), committing=committing)
    if decision == "undo" and run.kind == "deploy":
        engine.remove_image(str(run.release))
    running = engine.running()
    said = _finish(store, run, running) if decision == "finish" else _undo(store, paths, run, running)
    return Reconciled(run, decision, said)


def _finish(store: Store, run: Run, running: Running | None) -> str:
    assert run.release is not None
    store.releases.mark(run.release, "good")
    store.releases.set_serving(run.release)
    store.journal.finish(run.id, "done", "finished by the next command")
    now = "it serves" if running is not None and running.serves else "nothing runs now: `oatie start`"
    return f"an earlier {run.kind} was killed at its very end; release {run.release} is good, {now}"


def _undo(store: Store, paths: StatePaths, run: Run, running: Running | None) -> str:
    how = how_it_ended(run)
    if run.release is not None and run.kind == "deploy":
        if running is None or not running.leaves(str(run.release)):  # else its files go with the next prune
            remove_release(paths, run.release)
        store.releases.mark(run.release, "bad", f"its deploy {how}")
    if run.release is not None and store.releases.serving() == run.release:
        store.releases.set_serving(run.previous)
    for step in run.steps:
        if step.state in ("started", "done"):
            store.journal.step(run.id, step.index, "undone")
    store.journal.finish(run.id, "undone", f"{how}; undone by the next command")
    kept = f"; release {run.previous} is kept" if run.previous is not None else ""
    return f"an earlier {run.kind} {how}; it has been undone{kept}"


def how_it_ended(run: Run) -> str:
    """A run whose undo failed stays open, too; it was not killed."""
    begun = [step for step in run.steps if step.state is not None]
    at = begun[-1].name if begun else "its start"
    if any(step.state in ("failed", "undone") for step in begun):
        at = next((step.name for step in begun if step.state == "failed"), at)
        return f"failed during {at} and could not be undone then"
    return f"was killed during {at}"


def _wait_until_stepped_back(run: Run, target: Observed, seconds: float) -> None:
    """The supervisor aborts by itself when the lease of the killed run ends; this only watches it.

    Where nothing serves instead, the last clients of the withdrawn release get less time than its drain:
    as long as they have it, nobody else is answered.
    """
    began = time.monotonic()
    name = str(run.release)
    while (running := target.running()) is not None and running.has_candidate(name):
        waited = time.monotonic() - began
        if (
            running.release is None
            and running.candidate is None
            and waited > min(seconds, LAST_CLIENTS_SECONDS)
        ):
            return
        if waited > seconds:
            raise OatieError(
                f"the switch of a killed {run.kind} to release {run.release} is still open",
                why=f"the supervisor (process {running.supervisor_pid}) did not step back in {seconds:g} s",
                fix="`oatie status` and `oatie logs` tell more; `oatie stop` and `oatie start` end it",
            )
        time.sleep(POLL_SECONDS)


def _half_made(release: Release) -> bool:
    return release.status in ("building", "built")


def _sweep(store: Store, paths: StatePaths) -> None:
    """What has no run of its own: killed between two records, or in the middle of a copy."""
    going_on = {run.release for run in store.journal.unfinished()}
    for release in store.releases.list():
        if _half_made(release) and release.number not in going_on:
            remove_release(paths, release.number)
            store.releases.mark(release.number, "bad", "never finished")
    remove_leftovers(paths)
