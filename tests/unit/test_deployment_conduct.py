"""A whole run over a fake supervisor: verdict and exit code, what is left, what is remembered."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from oatie_ops.deployment import manifest
from oatie_ops.deployment.conduct import verdict
from oatie_ops.deployment.engine import Outcome
from oatie_ops.deployment.events import Failure, Notice, Output, Result, Serving
from oatie_ops.deployment.interrupts import Interrupts
from oatie_ops.deployment.lock import DeployLock
from oatie_ops.errors import Interrupted, OatieError, PrerequisiteMissing
from oatie_ops.exit_codes import ExitCode
from tests.unit.deployment_world import World, refuse

# Verbs of the target at which a run can fail, each before the commit point.
VERBS = ("spawn", "gate", "promote", "drain", "bake")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def assert_nothing_is_left(world: World, releases: list[str]) -> None:
    assert world.release_directories() == releases
    assert DeployLock(world.paths.deploy_lock).holder() is None
    with world.store() as store:
        assert store.journal.unfinished() == []
        assert not [r for r in store.releases.list() if r.status in ("building", "built")]


def test_a_first_deploy_serves_and_is_good(world: World) -> None:
    assert world.deploy() == Result("deployed", 1, None, ExitCode.OK)
    assert world.target.serving == "1"
    with world.store() as store:
        assert store.releases.serving() == 1
        assert [release.status for release in store.releases.list()] == ["good"]
    made = manifest.read(world.paths.releases / "1")
    assert (made.directory / "main.py").read_text() == "app = None\n"
    assert_nothing_is_left(world, ["1"])


def test_the_second_deploy_replaces_the_first(world: World) -> None:
    world.deploy()
    assert world.deploy() == Result("deployed", 2, 1, ExitCode.OK)
    assert world.target.verbs.count("start_supervisor") == 1
    assert_nothing_is_left(world, ["1", "2"])


@pytest.mark.parametrize("verb", VERBS)
def test_a_failure_over_a_serving_release_rolls_back(world: World, verb: str) -> None:
    world.deploy()
    world.target.before[verb] = refuse()
    assert world.deploy() == Result("rolled_back", 2, 1, ExitCode.ROLLED_BACK)
    assert (world.target.serving, world.target.candidate) == ("1", None)
    failure = next(event.error for event in world.events if isinstance(event, Failure))
    assert (failure.what, failure.details) == ("it broke", ("last log line",))
    assert [e.release for e in world.events if isinstance(e, Serving)] == ["1", "1"]
    with world.store() as store:
        assert store.releases.serving() == 1
        failed = store.releases.get(2)
        assert failed is not None
        assert failed.status == "bad"
    assert_nothing_is_left(world, ["1"])


@pytest.mark.parametrize("verb", [*VERBS, "commit"])
def test_a_failing_first_deploy_leaves_no_supervisor(world: World, verb: str) -> None:
    world.target.before[verb] = refuse()
    assert world.deploy() == Result("failed", 1, None, ExitCode.FAILED)
    assert not world.target.supervised
    with world.store() as store:
        assert store.releases.serving() is None
    assert_nothing_is_left(world, [])


def test_a_failing_commit_restores_the_record_of_what_serves(world: World) -> None:
    world.deploy()
    world.target.before["commit"] = refuse()
    assert world.deploy().exit_code == ExitCode.ROLLED_BACK
    with world.store() as store:
        assert store.releases.serving() == 1


def test_a_failing_release_command_stops_before_any_worker_starts(world: World) -> None:
    world.deploy()
    world.target.verbs.clear()
    world.configure(release="echo migrating; exit 3")
    assert world.deploy().exit_code == ExitCode.ROLLED_BACK
    assert world.target.verbs == []
    failure = next(event.error for event in world.events if isinstance(event, Failure))
    assert "code 3" in failure.why
    assert "migrating" in failure.details
    assert str(world.paths.releases) not in failure.fix


def test_the_release_command_runs_in_the_new_release_with_its_identity(world: World) -> None:
    world.configure(release='echo "$OATIE_APP $OATIE_RELEASE in $(pwd -P)"')
    world.deploy()
    said = [event.line for event in world.events if isinstance(event, Output)]
    assert said == [f"shop 1 in {(world.paths.releases / '1' / 'app').resolve()}"]


def test_a_failing_build_shows_the_output_of_the_whole_build(world: World) -> None:
    world.configure(build=("echo first", "echo second; exit 4"))
    assert world.deploy().exit_code == ExitCode.FAILED
    failure = next(event.error for event in world.events if isinstance(event, Failure))
    assert failure.details == ("first", "second")


def test_missing_prerequisites_change_nothing_at_all(world: World) -> None:
    facts = world.facts()
    bad = replace(facts, host=replace(facts.host, disk_free_bytes=0, memory_available_bytes=0))
    assert world.carry_out(bad) == Result("failed", None, None, ExitCode.PREREQUISITE_MISSING)
    assert not world.paths.home.exists()


def test_a_second_run_is_locked_out_and_takes_no_number(world: World) -> None:
    world.deploy()
    other = DeployLock(world.paths.deploy_lock)
    other.acquire("deploy", actor="bob")
    assert world.deploy() == Result("failed", None, 1, ExitCode.LOCKED)
    other.release()
    with world.store() as store:
        assert [release.number for release in store.releases.list()] == [1]


def test_while_a_first_deploy_bakes_a_second_one_says_what_serves(world: World) -> None:
    other = DeployLock(world.paths.deploy_lock)

    def second_deploy() -> None:
        # The lock is this process's own; for the second run it has to be somebody else's.
        world.events.clear()
        assert world.deploy().exit_code == ExitCode.LOCKED

    world.target.before["bake"] = second_deploy
    first = world.deploy()
    assert first.status == "deployed"
    assert other.holder() is None
    told = next(event for event in world.events if isinstance(event, Serving))
    assert (told.release, told.deploying, told.deploying_pid) == ("1", "1", os.getpid())


def test_the_error_of_a_run_has_the_exit_code_of_the_run(world: World) -> None:
    world.deploy()
    world.target.before["gate"] = refuse()
    result = world.deploy()
    failure = next(event for event in world.events if isinstance(event, Failure))
    assert failure.as_dict()["error"]["exit_code"] == result.as_dict()["exit_code"] == 7


def test_a_refused_release_remembers_why(world: World) -> None:
    world.target.before["gate"] = refuse("release 1 did not become ready")
    world.deploy()
    with world.store() as store:
        refused = store.releases.get(1)
    assert refused is not None
    assert (refused.status, refused.note) == ("bad", "gate: release 1 did not become ready: it was weak")


def test_files_stay_as_long_as_the_last_client_of_a_withdrawn_release(world: World) -> None:
    world.deploy()
    world.target.before["bake"] = refuse()
    world.target.lingering = frozenset({"2"})
    assert world.deploy().exit_code == ExitCode.ROLLED_BACK
    assert world.release_directories() == ["1", "2"]
    world.target.before.clear()
    world.deploy()
    assert world.release_directories() == ["1", "2", "3"]
    world.target.lingering = frozenset()
    world.deploy()
    assert world.release_directories() == ["1", "3", "4"]


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    with Interrupts() as handlers:
        yield handlers


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_at_any_verb_undoes_and_keeps_the_old_release(
    world: World, interrupts: Interrupts, verb: str, number: signal.Signals, code: int
) -> None:
    world.deploy()
    world.target.before[verb] = lambda: os.kill(os.getpid(), number)
    assert world.deploy(interrupts) == Result("rolled_back", 2, 1, ExitCode(code))
    assert (world.target.serving, world.target.candidate) == ("1", None)
    assert_nothing_is_left(world, ["1"])


def test_a_rollback_runs_the_old_release_with_its_own_files(world: World) -> None:
    world.deploy()
    (world.root / "main.py").write_text("app = 2\n")
    world.deploy()
    assert world.rollback(1) == Result("deployed", 1, 2, ExitCode.OK)
    assert world.target.serving == "1"
    with world.store() as store:
        assert store.releases.serving() == 1
    assert_nothing_is_left(world, ["1", "2"])


def test_a_refused_rollback_keeps_both_releases_good(world: World) -> None:
    world.deploy()
    world.deploy()
    world.target.before["gate"] = refuse()
    assert world.rollback(1) == Result("rolled_back", 1, 2, ExitCode.ROLLED_BACK)
    with world.store() as store:
        assert [release.status for release in store.releases.list()] == ["good", "good"]
        assert store.releases.serving() == 2
    assert_nothing_is_left(world, ["1", "2"])


def test_old_releases_are_pruned_and_the_serving_one_never(world: World) -> None:
    world.configure(keep=2)
    for _ in range(4):
        world.deploy()
    assert world.release_directories() == ["3", "4"]


def test_who_did_what_from_where_and_how_it_ended_is_remembered(world: World) -> None:
    world.deploy()
    world.target.before["gate"] = refuse()
    world.deploy()
    with world.store() as store:
        newest, oldest = store.audit.recent()
        assert (oldest.actor, oldest.origin, oldest.action) == ("ada", "tty 1", "deploy")
        assert (oldest.subject, oldest.result, oldest.detail) == ("release 1", "deployed", "")
        assert (newest.subject, newest.result) == ("release 2", "rolled_back")
        assert "it broke" in newest.detail
        assert [event.kind for event in store.events.recent()] == ["deploy", "deploy"]


def outcome(error: OatieError, step: str) -> Outcome:
    return Outcome(False, error, step)


def test_the_verdict_depends_on_what_serves_after_it(world: World) -> None:
    world.deploy()
    running = world.target.running()
    failed = outcome(OatieError("no"), "gate")
    assert verdict(failed, running, 2, 1) == Result("rolled_back", 2, 1, ExitCode.ROLLED_BACK)
    assert verdict(failed, None, 2, 1) == Result("failed", 2, 1, ExitCode.FAILED)
    early = outcome(PrerequisiteMissing("no"), "prerequisites")
    assert verdict(early, running, None, 1).exit_code == ExitCode.PREREQUISITE_MISSING
    cut = outcome(Interrupted("by SIGTERM", exit_code=ExitCode.TERMINATED), "spawn")
    assert verdict(cut, running, 2, 1) == Result("rolled_back", 2, 1, ExitCode.TERMINATED)


def test_what_could_not_be_undone_stays_open_and_is_put_in_order_by_the_next_run(world: World) -> None:
    world.deploy()
    world.target.before |= {"gate": refuse(), "abort": refuse("the supervisor did not answer")}
    assert world.deploy().exit_code == ExitCode.ROLLED_BACK
    # Its workers may live on, so their files are not pulled from under them.
    assert world.release_directories() == ["1", "2"]
    notices = [event.message for event in world.events if isinstance(event, Notice)]
    assert any("next command tries again" in notice for notice in notices)
    with world.store() as store:
        assert [run.release for run in store.journal.unfinished()] == [2]
    world.target.before.clear()
    world.target.lose_lease()
    world.end_run()
    assert world.deploy() == Result("deployed", 3, 1, ExitCode.OK)
    assert_nothing_is_left(world, ["1", "3"])


def test_an_answer_to_the_commit_that_cannot_be_recorded_is_no_reason_to_turn_back(world: World) -> None:
    """The supervisor serves the new release by then: undoing would remove the files under its workers."""
    world.deploy()

    def lose_the_journal() -> None:
        with sqlite3.connect(world.paths.database) as connection:
            connection.execute("ALTER TABLE run_steps RENAME TO run_steps_gone")

    world.target.before["commit"] = lose_the_journal
    assert world.deploy() == Result("deployed", 2, 1, ExitCode.OK)
    assert world.release_directories() == ["1", "2"]
