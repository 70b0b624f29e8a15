"""A deploy that is interrupted, terminated or killed at any step: the old release serves on, under load,
the next command works, and nothing is left. Likewise when the supervisor or a worker is killed meanwhile."""

from __future__ import annotations

import random
import signal
import time
from typing import Any

import psutil
import pytest

from oatie_ops.config.settings import AppSettings
from oatie_ops.errors import OatieError
from oatie_ops.supervisor.client import ControlClient
from oatie_ops.supervisor.spec import ReleaseSpec
from tests.real.harness import Project
from tests.real.loadrun import lost
from tests.real.waiting import wait_for

STEPS = (
    "prerequisites",
    "lock",
    "snapshot",
    "build",
    "release-command",
    "spawn",
    "gate",
    "promote",
    "drain",
    "bake",
    "mark-good",
    "prune",
)
# From here on the new release may be the one that stays.
COMMITTING = ("mark-good", "prune")
SIGNALS = {"INT": (signal.SIGINT, 130), "TERM": (signal.SIGTERM, 143), "KILL": (signal.SIGKILL, -9)}
FIRST_STEPS = ("release-command", "build", "start-supervisor", "spawn", "gate", "promote", "bake")
# The default run has these, the slow run all.
USUAL = {("gate", "KILL")}
USUAL_FIRST = {("gate", "TERM")}


def cases(steps: tuple[str, ...], usual: set[tuple[str, str]]) -> list[Any]:
    return [
        pytest.param(step, name, id=f"{step}-{name}", marks=() if (step, name) in usual else pytest.mark.slow)
        for step in steps
        for name in SIGNALS
    ]


def prepared(project: Project, *, first: bool) -> None:
    """Every step of the next deploy takes long enough to be met."""
    if not first:
        project.deployed("1")
    project.configure(
        deploy={"build": ["sleep 0.4"], "release": "sleep 0.4", "bake": "1s"},
        app={"ready_timeout": "60s"},
    )
    project.version("2", startup_seconds=0.4)


def only_the_fleet_is_left(project: Project, processes: int) -> None:
    wait_for(
        lambda: len(project.processes()) <= processes, "stray processes to end", evidence=project.describe
    )
    wait_for(
        lambda: len({w["release"] for w in project.workers()}) == 1, "one release", evidence=project.workers
    )


@pytest.mark.parametrize(("step", "name"), cases(STEPS, USUAL))
def test_a_deploy_hit_by_a_signal_leaves_the_old_one_serving(project: Project, step: str, name: str) -> None:
    number, code = SIGNALS[name]
    prepared(project, first=False)
    processes = len(project.processes())
    with project.load(new=3, keep=3) as load:
        run = project.background("deploy", "--yes", "--json")
        run.wait_for_step(step)
        run.signal(number)
        ended = run.wait()
        committed = ended.code == 0 or (step in COMMITTING and project.status()["release"] == "2")
        if not committed:
            ended.expect(code)
            if name != "KILL":
                assert ended.result["exit_code"] == code
            wait_for(lambda: project.status()["release"] == "1", "release 1", evidence=project.status)
        only_the_fleet_is_left(project, processes)
        assert project.serving() == ("2" if committed else "1")
        load.wait_for_more(50)
        result = load.finish()
    assert committed or step not in ("prune",)
    assert not lost(result)
    # The next command works, and cleans up what a killed one could not.
    project.deployed("3")
    assert project.serving() == "3"
    project.assert_settled()
    only_the_fleet_is_left(project, processes)


@pytest.mark.parametrize(("step", "name"), cases(FIRST_STEPS, USUAL_FIRST))
def test_a_first_deploy_hit_by_a_signal_leaves_nothing(project: Project, step: str, name: str) -> None:
    number, code = SIGNALS[name]
    prepared(project, first=True)
    run = project.background("deploy", "--yes", "--json")
    run.wait_for_step(step)
    run.signal(number)
    run.wait().expect(code)
    wait_for(lambda: not project.processes(), "every process to end", evidence=project.describe)
    project.deployed("3")
    assert project.serving() == "3"
    project.assert_settled()
    project.oatie("stop").expect(0)
    project.assert_gone()


def test_candidates_that_die_before_anybody_asks_are_not_let_in(project: Project) -> None:
    """The deploying process is slow, and all its new workers have ended when it asks for the gate."""
    project.deployed("1")
    serving = {worker["pid"] for worker in project.workers()}
    bad = project.outputs / "bad"
    bad.mkdir()
    (bad / "service.py").write_text("raise SystemExit(9)\n")
    spec = ReleaseSpec("2", bad, AppSettings(run="service:app", port=project.port, ready_timeout_seconds=60))
    client = ControlClient(project.state.control_socket)
    lease = client.stream("POST", "/control/switch", {"release": spec.to_dict(), "actor": "test"})
    switch = next(lease)["switch"]
    candidates = [
        worker["pid"] for worker in client.call("POST", f"/control/switch/{switch}/spawn")["workers"]
    ]
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in candidates), "the new workers to end")
    *_, verdict = client.stream("POST", f"/control/switch/{switch}/gate")
    assert verdict["event"] == "failed"
    assert "9" in verdict["error"]["why"]
    with pytest.raises(OatieError):
        client.call("POST", f"/control/switch/{switch}/promote")
    lease.close()
    wait_for(lambda: project.status()["switch"] is None, "the switch to be undone")
    assert {worker["pid"] for worker in project.workers()} == serving
    assert project.serving() == "1"


@pytest.mark.slow
def test_a_second_signal_leaves_at_once_and_the_next_command_cleans_up(project: Project) -> None:
    prepared(project, first=False)
    project.configure(deploy={"release": "sleep 60"})
    run = project.background("deploy", "--yes", "--json")
    run.wait_for_step("release-command")
    run.signal(signal.SIGINT)
    run.signal(signal.SIGINT)
    run.wait().expect(130)
    wait_for(
        lambda: not [line for line in project.describe() if "sleep 60" in line],
        "the command and its guard to end",
        evidence=project.describe,
    )
    project.configure(deploy={"release": None})
    project.deployed("3")
    project.assert_settled()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_deploy_killed_at_a_random_instant_costs_nothing(project: Project, seed: int) -> None:
    prepared(project, first=False)
    processes = len(project.processes())
    with project.load(new=3, keep=3) as load:
        run = project.background("deploy", "--yes", "--json")
        # Not a wait for something: the instant itself is what is tested.
        time.sleep(random.Random(seed).uniform(0.2, 3.5))
        run.signal(signal.SIGKILL)
        run.wait()
        only_the_fleet_is_left(project, processes)
        load.wait_for_more(50)
        result = load.finish()
    assert not lost(result)
    project.deployed("3")
    project.assert_settled()


@pytest.mark.parametrize(
    "step", ["gate", *(pytest.param(step, marks=pytest.mark.slow) for step in ("promote", "bake"))]
)
def test_a_supervisor_killed_during_a_deploy_leaves_no_orphan_and_the_next_command_works(
    project: Project, step: str
) -> None:
    prepared(project, first=False)
    supervisor = project.status()["supervisor"]["pid"]
    run = project.background("deploy", "--yes", "--json")
    run.wait_for_step(step)
    project.kill(supervisor)
    failed = run.wait()
    assert failed.code in (1, 7), failed
    assert failed.result["exit_code"] == failed.code
    wait_for(lambda: not project.processes(), "every process to end", evidence=project.describe)
    project.deployed("3")
    assert project.serving() == "3"
    project.assert_settled()


@pytest.mark.slow
@pytest.mark.parametrize("step", ["gate", "snapshot", "promote", "mark-good"])
def test_after_a_power_cut_a_good_release_serves_again(project: Project, step: str) -> None:
    """Everything is killed at one instant; `oatie start` then runs what was good, and deploys go on."""
    prepared(project, first=False)
    project.background("deploy", "--yes", "--json").wait_for_step(step)
    project.close()
    wait_for(lambda: not project.processes(), "nothing to run", evidence=project.describe)
    project.start()
    assert project.serving() in (("1", "2") if step == "mark-good" else ("1",))
    assert project.status()["release"] == project.serving()
    project.deployed("3")
    assert project.serving() == "3"
    project.assert_settled()


@pytest.mark.slow
@pytest.mark.parametrize("step", ["gate", "bake"])
def test_a_candidate_killed_during_a_deploy_is_refused(project: Project, step: str) -> None:
    prepared(project, first=False)
    project.version("2", startup_seconds=2)
    old = {worker["pid"] for worker in project.workers()}
    with project.load(new=3, keep=3, careful=True) as load:
        run = project.background("deploy", "--yes", "--json")
        run.wait_for_step(step)
        candidates = {worker["pid"] for worker in project.workers()} - old
        project.kill(candidates.pop())
        run.wait().expect(7)
        load.wait_for_more(50)
        result = load.finish()
    assert project.serving() == "1"
    # At the gate it served nobody; in its bake it had at most one request of each client in flight.
    assert result["failed"] <= (0 if step == "gate" else 6), lost(result)
    project.assert_settled()


@pytest.mark.slow
def test_an_old_worker_killed_during_the_bake_is_back_when_the_release_fails(
    project: Project,
) -> None:
    prepared(project, first=False)
    project.configure(deploy={"bake": "20s"})
    project.version("2", exit_after_ready_seconds=2.5)
    old = [worker["pid"] for worker in project.workers()]
    run = project.background("deploy", "--yes", "--json")
    run.wait_for_step("bake")
    project.kill(old[0])
    run.wait().expect(7)
    wait_for(
        lambda: [w["state"] for w in project.workers() if w["release"] == "1"].count("serving") == 2,
        "two workers of release 1",
        evidence=project.status,
    )
    assert project.serving() == "1"
