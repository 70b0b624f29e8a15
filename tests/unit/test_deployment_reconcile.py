"""A run that was killed with SIGKILL, at every step and between the steps; then the next command."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from oatie_ops.deployment.events import Event, Step
from oatie_ops.deployment.lock import DeployLock
from oatie_ops.deployment.reconcile import Reconciled, decide, how_it_ended, reconcile, settle, unsettled
from oatie_ops.errors import OatieError
from oatie_ops.identity import ProcessIdentity
from oatie_ops.store import JournalStep, Run
from tests.unit.deployment_world import FakeTarget, World

FIRST_STEPS = (
    *("prerequisites", "lock", "snapshot", "build", "release-command", "start-supervisor"),
    *("spawn", "gate", "promote", "drain", "bake", "mark-good", "prune"),
)
LATER_STEPS = tuple(step for step in FIRST_STEPS if step != "start-supervisor")


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.configure(build=("true",), release="true")
    return made


def killed(world: World, when: Callable[[Event], bool]) -> None:
    """Deploys in a child process that kills itself at an event; then the supervisor notices."""
    child = os.fork()
    if child == 0:

        def listen(event: Event) -> None:
            if when(event):
                os.kill(os.getpid(), signal.SIGKILL)

        world.events = Listening(listen)
        world.deploy()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


class Listening(list[Event]):
    def __init__(self, listener: Callable[[Event], None]) -> None:
        super().__init__()
        self.append = listener  # type: ignore[method-assign]


def at(step: str, state: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, Step) and (event.step, event.state) == (step, state)


def settled(world: World) -> list[Reconciled]:
    """As the lock step of the next run does it."""
    world.paths.ensure()
    with world.store() as store:
        return settle(store, world.paths, world.target)


def assert_in_order(world: World, serving: int | None) -> None:
    with world.store() as store:
        assert store.journal.unfinished() == []
        assert store.releases.serving() == serving
        half_made = [r.number for r in store.releases.list() if r.status in ("building", "built")]
        assert half_made == []
        good = {str(r.number) for r in store.releases.list() if r.status == "good"}
    assert set(world.release_directories()) == good
    assert DeployLock(world.paths.deploy_lock).holder() is None
    assert not unsettled(world.paths)


@pytest.mark.parametrize("state", ["started", "done"])
@pytest.mark.parametrize("step", LATER_STEPS)
def test_killed_over_a_serving_release(world: World, step: str, state: str) -> None:
    world.deploy()
    killed(world, at(step, state))
    # In the child the supervisor may have committed; the parent's copy decides what it did.
    committed = (step, state) in [("mark-good", "done"), ("prune", "started"), ("prune", "done")]
    if committed:
        world.target.serving = "2"
    settled(world)
    assert_in_order(world, serving=2 if committed else 1)
    # The next command works; a number is never used twice.
    world.events = []
    assert world.deploy().exit_code == 0
    assert world.target.serving == (
        "2" if step == "prerequisites" or (step, state) == ("lock", "started") else "3"
    )


@pytest.mark.parametrize("step", FIRST_STEPS[:-2])
def test_killed_in_a_first_deploy(world: World, step: str) -> None:
    killed(world, at(step, "done"))
    started = FIRST_STEPS.index(step) >= FIRST_STEPS.index("start-supervisor")
    world.target.supervised = started
    settled(world)
    assert_in_order(world, serving=None)
    assert not world.target.supervised
    world.events = []
    assert world.deploy().exit_code == 0


def test_killed_between_the_records_and_the_switch_follows_what_really_serves(world: World) -> None:
    """mark-good was begun and its records written, but the supervisor stepped back."""
    world.deploy()
    world.target.before["commit"] = lambda: os.kill(os.getpid(), signal.SIGKILL)
    killed(world, lambda event: False)
    with world.store() as store:
        assert store.releases.serving() == 2
    world.target.before.clear()
    message = settled(world)[0].message
    assert "undone" in message
    assert_in_order(world, serving=1)


def test_killed_at_its_very_end_with_nothing_running_is_finished(world: World) -> None:
    """The release has survived its bake; after a reboot there is nobody to ask."""
    killed(world, at("mark-good", "done"))
    done = settled(world)
    assert [each.decision for each in done] == ["finish"]
    assert "oatie start" in done[0].message
    assert_in_order(world, serving=1)


def test_the_step_at_which_it_was_killed_is_told_and_remembered(world: World) -> None:
    world.deploy()
    killed(world, at("gate", "started"))
    message = settled(world)[0].message
    assert message == "an earlier deploy was killed during gate; it has been undone; release 1 is kept"
    with world.store() as store:
        assert store.journal.recent(1)[0].outcome == "undone"
        failed = store.releases.get(2)
        assert failed is not None
        assert failed.note == "its deploy was killed during gate"


def test_a_killed_rollback_removes_nothing(world: World) -> None:
    world.deploy()
    world.deploy()
    child = os.fork()
    if child == 0:
        world.target.before["bake"] = lambda: os.kill(os.getpid(), signal.SIGKILL)
        world.rollback(1)
        os._exit(0)
    os.waitpid(child, 0)
    settled(world)
    assert_in_order(world, serving=2)
    assert world.release_directories() == ["1", "2"]


def test_a_half_made_copy_is_removed(world: World) -> None:
    world.deploy()
    (world.paths.releases / ".tmp-2-abcd" / "app").mkdir(parents=True)
    settled(world)
    assert world.release_directories() == ["1"]


def test_a_run_that_goes_on_is_left_alone(world: World) -> None:
    world.deploy()
    with world.store() as store:
        store.journal.begin("deploy", actor="bob", release=2, previous=1, steps=["lock"])
        assert settle(store, world.paths, world.target) == []
        assert len(store.journal.unfinished()) == 1


def test_reconcile_waits_for_nobody_who_holds_the_lock(world: World) -> None:
    world.deploy()
    killed(world, at("gate", "started"))
    lock = DeployLock(world.paths.deploy_lock)
    lock.acquire("deploy", actor="bob")
    assert unsettled(world.paths)
    assert reconcile(world.paths) == []
    lock.release()
    assert len(reconcile(world.paths)) == 1  # no supervisor listens here, so nothing has to step back
    assert not unsettled(world.paths)


def test_reconcile_makes_nothing_where_nothing_was_deployed(world: World) -> None:
    assert reconcile(world.paths) == []
    assert not world.paths.home.exists()


def test_a_supervisor_that_does_not_step_back_is_told_and_the_run_stays_open(world: World) -> None:
    world.deploy()
    killed(world, at("gate", "started"))
    world.target.candidate = "2"
    with world.store() as store:
        with pytest.raises(OatieError, match="still open"):
            settle(store, world.paths, world.target, settle_seconds=0.0)
        assert len(store.journal.unfinished()) == 1


def run_at(step: str | None) -> Run:
    steps = tuple(
        JournalStep(index, name, "started" if name == step else None, None, None)
        for index, name in enumerate(LATER_STEPS)
    )
    return Run(1, "deploy", "ada", 7, 6, steps, ProcessIdentity.current(), 0.0, None, None, "")


def test_a_run_whose_undo_failed_is_not_said_to_have_been_killed() -> None:
    assert how_it_ended(run_at(None)) == "was killed during its start"
    assert how_it_ended(run_at("bake")) == "was killed during bake"
    run = run_at("bake")
    for state, at in (("failed", "bake"), ("undone", "bake")):
        steps = (replace(run.steps[0], state="done"), *run.steps[1:])
        steps = tuple(replace(step, state=state) if step.name == at else step for step in steps)
        assert how_it_ended(replace(run, steps=steps)) == "failed during bake and could not be undone then"


def test_only_a_run_in_its_commit_is_finished_and_only_if_nothing_else_serves() -> None:
    target = FakeTarget(supervised=True, serving="7")
    assert decide(run_at("mark-good"), target.running()) == "finish"
    assert decide(run_at("mark-good"), None) == "finish"
    assert decide(run_at("bake"), None) == "undo"
    assert decide(run_at(None), None) == "undo"
    target.serving = "6"
    assert decide(run_at("mark-good"), target.running()) == "undo"
    running = target.running()
    assert running is not None
    down = replace(running, serving_workers=0)
    assert decide(run_at("mark-good"), down) == "finish"
