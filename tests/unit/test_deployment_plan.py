"""The plan: which steps, in which order, why; pure, and the same for a dry run and for the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oatie_ops.config.candidates import DEMO_RUN
from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment.events import Step
from oatie_ops.deployment.facts import Facts, live
from oatie_ops.deployment.plan import Plan, plan
from oatie_ops.supervisor.spec import ReleaseSpec
from tests.unit.deployment_world import World

SWITCH = ["spawn", "gate", "promote", "drain", "bake", "mark-good"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def serving(world: World, release: str = "6") -> Facts:
    world.target.supervised, world.target.serving = True, release
    return replace(world.facts(), release=7, previous=6)


def names(made: Plan) -> list[str]:
    return [step.name for step in made.steps]


def why(made: Plan, name: str) -> str:
    return next(step.why for step in made.steps if step.name == name)


def test_a_first_deploy_starts_a_supervisor_between_the_files_and_the_workers(world: World) -> None:
    made = plan(world.facts())
    assert names(made) == ["prerequisites", "lock", "snapshot", "start-supervisor", *SWITCH, "prune"]
    assert made.title == "deploy shop (main:app): release 1"


def test_a_deploy_over_a_running_release_starts_none_and_names_both(world: World) -> None:
    made = plan(serving(world))
    assert names(made) == ["prerequisites", "lock", "snapshot", *SWITCH, "prune"]
    assert made.title == "deploy shop (main:app): release 7 in place of release 6"
    assert "release 6" in why(made, "drain")


def test_build_and_release_command_run_before_any_new_worker(world: World) -> None:
    world.configure(build=("pip install -r requirements.txt",), release="python migrate.py")
    made = plan(world.facts())
    assert names(made)[2:6] == ["snapshot", "build", "release-command", "start-supervisor"]
    assert "pip install -r requirements.txt in a venv of its own" in why(made, "build")
    assert "python migrate.py" in why(made, "release-command")


def test_only_a_python_installer_is_said_to_fill_a_venv(world: World) -> None:
    world.configure(build=("npm ci", "make"))
    assert why(plan(world.facts()), "build") == "npm ci && make in the release"


def test_a_release_command_over_a_running_release_is_said_to_stay(world: World) -> None:
    world.configure(release="python migrate.py")
    assert any("not undone" in note for note in plan(serving(world)).notes)
    world.target.supervised = False
    assert not any("not undone" in note for note in plan(world.facts()).notes)


def test_mark_good_is_the_one_commit_point_and_only_tidying_comes_after_it(world: World) -> None:
    made = plan(serving(world))
    assert [step.name for step in made.steps if step.commit] == ["mark-good"]
    assert names(made)[names(made).index("mark-good") + 1 :] == ["prune"]


def test_everything_that_changes_something_before_the_commit_point_can_be_undone(world: World) -> None:
    made = plan(world.facts())
    undoable = {step.name for step in made.steps if step.undo is not None}
    assert undoable == {"lock", "snapshot", "start-supervisor", "spawn", "promote", "mark-good"}
    assert all(step.undo_why for step in made.steps if step.undo is not None)


def test_a_bake_of_no_time_and_a_run_without_health_checks_have_no_bake(world: World) -> None:
    world.configure(bake_seconds=0.0)
    assert "bake" not in names(plan(world.facts()))
    world.configure(bake_seconds=5.0)
    unchecked = plan(world.facts(health_check=False))
    assert "bake" not in names(unchecked)
    assert "up" in why(unchecked, "gate")
    assert any("--no-health-check" in note for note in unchecked.notes)


def test_the_gate_says_what_it_will_ask(world: World) -> None:
    assert "GET /ready with 2xx in 30 s" in why(plan(world.facts()), "gate")
    world.settings = replace(world.settings, app=replace(world.settings.app, ready=None))
    assert "GET / below 500" in why(plan(world.facts()), "gate")


def test_the_demo_is_called_the_demo(world: World) -> None:
    world.settings = replace(world.settings, app=AppSettings(name="demo", run=DEMO_RUN))
    made = plan(world.facts())
    assert "the built-in demo service" in made.title
    assert "the demo service" in why(made, "snapshot")
    (world.root / "main.py").unlink()
    world.deploy()
    assert any(isinstance(e, Step) and e.message == "nothing to copy" for e in world.events)


def test_a_program_that_binds_the_port_itself_has_a_stated_gap(world: World) -> None:
    program = AppSettings(name="shop", command=("node", "server.js"), workers=1)
    world.settings = replace(world.settings, app=program)
    assert plan(world.facts()).gap == ""  # nothing is replaced
    made = plan(serving(world))
    assert "connections are refused" in made.gap
    assert why(made, "promote") == "stop release 6, then start release 7 on port 8080"
    assert why(made, "drain") == "release 6 has been stopped already"
    assert any("private port" in note for note in made.notes)
    assert any("LISTEN_FDS" in note for note in made.notes)


def test_the_gap_is_as_long_as_it_was_measured_last_time(world: World) -> None:
    program = AppSettings(name="shop", command=("python3", "server.py"), workers=1)
    world.settings = replace(world.settings, app=program)
    world.deploy()
    assert "not been measured" in plan(world.facts()).gap
    world.target.cutover_ms = 1234.0
    world.deploy()
    assert "about 1.2 s" in plan(world.facts()).gap
    assert "about 1.2 s" in plan(world.rollback_facts(1)).gap


def test_a_rollback_tells_that_the_release_brings_other_settings(world: World) -> None:
    world.deploy()
    assert plan(world.rollback_facts(1)).notes == ()
    world.settings = replace(world.settings, app=replace(world.settings.app, ready="/other"))
    assert any(
        "oatie.toml has changed since in [app] ready" in n for n in plan(world.rollback_facts(1)).notes
    )


def test_the_successor_of_a_program_that_binds_the_port_has_a_stated_gap_too(world: World) -> None:
    made = plan(replace(serving(world), old_owns_port=True))
    assert made.gap.startswith("release 6 holds the port itself")
    assert not any("LISTEN_FDS" in note for note in made.notes)


def test_a_program_that_takes_the_socket_has_no_gap(world: World) -> None:
    program = AppSettings(name="shop", command=("./server",), socket="activation")
    world.settings = replace(world.settings, app=program)
    assert plan(serving(world)).gap == ""


def test_a_rollback_makes_nothing_and_passes_the_same_gate(world: World) -> None:
    facts = replace(serving(world), kind="rollback", release=5)
    made = plan(facts)
    assert names(made) == ["prerequisites", "lock", *SWITCH]
    assert made.title == "roll back shop (main:app): release 5 in place of release 6"
    # A release that was good is neither removed nor called bad because its second start failed.
    assert {step.name for step in made.steps if step.undo is not None} == {"spawn", "promote", "mark-good"}


def test_a_move_to_another_address_is_told(world: World) -> None:
    facts = serving(world)
    assert facts.running is not None
    assert not any("moves" in note for note in plan(facts).notes)
    port = plan(replace(facts, running=replace(facts.running, host="127.0.0.1", port=9000)))
    assert any("moves from 127.0.0.1:9000 to 127.0.0.1:8080" in note for note in port.notes)
    assert "127.0.0.1:8080, release 6 no longer does on 127.0.0.1:9000" in why(port, "promote")
    host = plan(replace(facts, running=replace(facts.running, host="0.0.0.0")))
    assert any("refused for some milliseconds" in note for note in host.notes)


def test_workers_from_the_checkout_are_called_by_what_they_are(world: World) -> None:
    assert plan(serving(world, "checkout")).title.endswith("in place of what runs from the checkout")


def test_data_that_is_linked_is_told(world: World) -> None:
    (world.root / "shop.sqlite3").write_bytes(b"")
    assert any("shop.sqlite3" in note for note in plan(world.facts()).notes)


def test_the_event_lists_exactly_the_steps_of_the_plan(world: World) -> None:
    made = plan(serving(world))
    event = made.event().as_dict()
    assert [step["name"] for step in event["steps"]] == names(made)
    assert event["event"] == "plan"


def test_a_release_runs_as_wide_as_today_unless_its_program_binds_the_port(
    world: World, tmp_path: Path
) -> None:
    now = replace(world.settings, app=AppSettings(run="main:app", port=9000, workers=8))
    shared = live(ReleaseSpec("5", tmp_path, AppSettings(run="old:app", workers=2)), now).app
    assert (shared.run, shared.port, shared.workers) == ("old:app", 9000, 8)
    alone = live(ReleaseSpec("5", tmp_path, AppSettings(command=("./server",), workers=1)), now).app
    assert (alone.port, alone.workers) == (9000, 1)


def test_what_serves_is_asked_whether_it_binds_the_port(world: World) -> None:
    world.settings = replace(world.settings, app=AppSettings(command=("python3", "main.py"), workers=1))
    world.deploy()
    world.settings = replace(world.settings, app=AppSettings(run="main:app"))
    assert world.facts().old_owns_port
    world.deploy()
    assert not world.facts().old_owns_port
