"""Workers and supervisors that are killed, hang, leak, loop or leave children behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable

import psutil
import pytest

from tests.real.harness import Background, Project
from tests.real.loadrun import lost
from tests.real.waiting import port_answers, wait_for


def serving_pids(project: Project) -> set[int]:
    return {worker["pid"] for worker in project.workers() if worker["state"] == "serving"}


def other_worker(project: Project, than: Iterable[int]) -> int:
    """Waits until two workers serve again, and gives one that was not there before."""
    before = set(than)
    wait_for(
        lambda: len(serving_pids(project)) == 2 and serving_pids(project) - before,
        "a new worker beside the old one",
        evidence=project.status,
    )
    return (serving_pids(project) - before).pop()


def test_a_killed_worker_costs_only_what_it_had_in_flight(project: Project) -> None:
    project.version("1")
    project.start()
    clients = {"new": 6, "keep": 6}
    with project.load(**clients, careful=True) as load:
        before = serving_pids(project)
        project.kill(next(iter(before)))
        fresh = other_worker(project, before)
        wait_for(lambda: fresh in load.pids, "answers of the new worker")
        result = load.finish()
    # Each client has one request in flight at most, and a connection is never refused.
    assert result["failed"] <= sum(clients.values()), lost(result)
    assert set(result["outcomes"]) <= {"ok", "cut", "reset", "short"}, lost(result)


def test_all_workers_killed_at_once_refuse_nobody(project: Project) -> None:
    """The supervisor holds the listening socket: connections wait in the kernel's queue."""
    project.version("1")
    project.start()
    with project.load(new=4, keep=0) as load:
        before = serving_pids(project)
        for pid in before:
            psutil.Process(pid).kill()
        other_worker(project, before)
        load.wait_for_more(100)
        result = load.finish()
    assert "refused" not in result["outcomes"]
    assert result["failed"] <= 4, lost(result)


def test_a_spare_takes_the_place_of_a_killed_worker(project: Project) -> None:
    project.configure(app={"spare": 1})
    project.version("1", import_seconds=3)
    project.start()
    wait_for(lambda: "ready" in {w["state"] for w in project.workers()}, "a spare", evidence=project.status)
    spare = next(worker["pid"] for worker in project.workers() if worker["state"] == "ready")
    project.kill(next(iter(serving_pids(project))))
    # The 3 s of import have not passed: nobody but the spare can be the second one.
    wait_for(lambda: spare in serving_pids(project), "the spare to serve", evidence=project.status)


def test_workers_that_end_again_and_again_become_a_reported_state(project: Project) -> None:
    project.configure(app={"restart_limit": 3, "restart_window": "60s"})
    project.version("1", exit_after_ready_seconds=0.1)
    running = project.background("start")
    wait_for(
        lambda: "again and again" in project.status()["detail"],
        "the crash loop to be reported",
        evidence=project.status,
    )
    # A worker that happens to serve for a moment does not make it good.
    states = {project.status()["state"] for _ in range(100)}
    assert states <= {"degraded", "failed"}
    shown = project.oatie("status")
    assert shown.code in (1, 3)
    assert "exit code 3" in shown.stdout  # how they end
    assert "release 1 crashes now" in shown.stdout  # and their last words
    assert running.process.poll() is None, running.so_far()
    # Never a busy loop: the tries become rare.
    assert project.oatie("logs", "-n", "10000").stdout.count("crashes now") < 60


@pytest.mark.slow
def test_a_crash_loop_is_ended_by_a_good_release(project: Project) -> None:
    project.configure(app={"restart_limit": 2})
    project.deployed("1", exit_after_requests=2)

    def reported() -> bool:
        project.get("/")
        return bool(project.status()["state"] != "running")

    wait_for(reported, "a reported state", evidence=project.status)
    project.deployed("2")
    assert project.serving() == "2"
    wait_for(lambda: project.status()["state"] == "running", "running", evidence=project.status)


def test_a_hung_worker_is_found_and_replaced_with_its_stack_in_the_log(project: Project) -> None:
    project.configure(app={"hang_timeout": "4s"})  # those that only wait for a processor are no longer silent
    project.version("1")
    project.start()
    before = serving_pids(project)
    blocked = project.ask("/block", timeout_seconds=0.5)
    assert blocked is None
    other_worker(project, before)
    wait_for(lambda: len(serving_pids(project) & before) == 1, "the hung one to be gone")
    logs = project.oatie("logs", "-n", "1000").stdout
    assert "blocked" in logs
    assert "service.py" in logs
    assert project.serving() == "1"


def test_broken_code_on_disk_and_a_killed_worker_cost_nothing(project: Project) -> None:
    """What serves goes on serving; the cause is reported; mended code brings the worker back."""
    project.version("1")
    running = project.start()
    with project.load(new=3, keep=3, careful=True, rate=100) as load:
        before = serving_pids(project)
        project.version("2", import_error="a_module_that_is_not_there")
        project.kill(next(iter(before)))
        wait_for(lambda: project.status()["state"] == "degraded", "degraded", evidence=project.status)
        load.wait_for_more(100)
        wait_for(lambda: "a_module_that_is_not_there" in project.status()["detail"], "the cause")
        project.version("3")
        other_worker(project, before)
        result = load.finish()
    assert result["failed"] <= 6, lost(result)
    assert running.process.poll() is None


@pytest.mark.slow
def test_a_dependency_that_is_away_at_the_start_is_waited_for(project: Project) -> None:
    flag = project.outputs / "flag"
    project.version("1", startup_needs_file=str(flag))
    running = project.background("start")
    wait_for(lambda: "is away" in project.oatie("logs").stdout, "the cause in the logs")
    assert running.process.poll() is None, running.so_far()
    flag.touch()
    wait_for(lambda: project.get("/ready") == 200, "the application", evidence=running.so_far)
    # One line with the cause per try, not a page of traceback for each worker and try.
    assert len(project.oatie("logs", "-n", "10000").stdout.splitlines()) < 300


def test_memory_that_grows_is_recycled_without_loss(project: Project) -> None:
    project.configure(app={"max_rss": "150MB"})
    project.version("1")
    project.start()
    with project.load(new=3, keep=3) as load:
        before = serving_pids(project)
        wait_for(
            lambda: project.get("/grow?mb=60") and not (before & serving_pids(project)),
            "both grown workers to be replaced",
            evidence=project.status,
        )
        load.wait_for_more(50)
        result = load.finish()
    assert not lost(result)


@pytest.mark.slow
def test_a_worker_that_leaks_file_descriptors_leaves_before_it_refuses_anybody(project: Project) -> None:
    project.version("1")
    project.start()
    before = serving_pids(project)
    with project.load(new=3, keep=3) as load:
        leaked = project.ask("/leak?leave=12")
        assert leaked is not None
        other_worker(project, before)
        load.wait_for_more(50)
        result = load.finish()
    assert not lost(result)
    wait_for(
        lambda: int(leaked[1]["x-pid"]) not in {worker["pid"] for worker in project.workers()},
        "the end of the worker that leaked",
        evidence=project.status,
    )
    assert "something leaks; starting another" in project.oatie("logs", "-n", "1000").stdout


@pytest.mark.parametrize("knob", ["program", "fork"])
def test_children_of_a_killed_worker_end_with_it(project: Project, knob: str) -> None:
    project.version("1", grandchild=knob)
    project.start()
    before = serving_pids(project)
    worker = psutil.Process(next(iter(before)))
    children = wait_for(worker.children, "the worker's own child")
    project.kill(worker.pid)
    psutil.wait_procs(children, timeout=20)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    other_worker(project, before)


@pytest.mark.parametrize("knob", ["", "program", "fork"])
def test_a_killed_supervisor_leaves_no_orphan_and_the_next_start_works(project: Project, knob: str) -> None:
    project.version("1", grandchild=knob)
    running = project.start()
    project.kill(running.pid)
    running.wait()
    wait_for(lambda: not port_answers(project.port), "the port to be free", evidence=project.describe)
    wait_for(lambda: not project.processes(), "every process to end", evidence=project.describe)
    again = project.start()
    assert project.serving() == "1"
    assert len(project.workers()) == 2
    assert again.process.poll() is None


@pytest.mark.slow
def test_a_killed_daemon_is_replaced_by_the_next_deploy(project: Project) -> None:
    project.deployed("1")
    project.kill(project.status()["supervisor"]["pid"])
    project.deployed("2")
    assert project.serving() == "2"
    project.assert_settled()


@pytest.mark.slow
def test_a_stopped_worker_does_not_keep_the_supervisor_from_ending(project: Project) -> None:
    """SIGSTOP: a process that can neither answer nor end by itself."""
    project.configure(app={"drain": "2s", "stop_timeout": "1s"})
    project.version("1")
    running = project.start()
    psutil.Process(next(iter(serving_pids(project)))).suspend()
    project.oatie("stop").expect(0)
    running.wait()
    project.assert_gone()


@pytest.mark.slow
def test_a_reload_with_a_hung_worker_still_ends(project: Project) -> None:
    project.configure(app={"hang_timeout": "600s", "drain": "2s", "stop_timeout": "1s"})
    project.version("1")
    project.start()
    before = serving_pids(project)
    assert project.ask("/block", timeout_seconds=0.5) is None
    project.oatie("reload").expect(0)
    wait_for(lambda: not (before & {p.pid for p in project.processes()}), "the old ones to end")
    assert len(serving_pids(project)) == 2


def test_orphans_given_to_the_supervisor_are_reaped(project: Project) -> None:
    project.version("1")
    running = project.start()
    for _ in range(5):
        assert project.get("/orphan") == 200
    _expect_orphans_reaped(project, psutil.Process(running.pid))


def _expect_orphans_reaped(project: Project, supervisor: psutil.Process) -> None:
    def zombies() -> list[str]:
        return [line for line in project.describe_children(supervisor) if psutil.STATUS_ZOMBIE in line]

    def sleeping() -> list[str]:
        return [line for line in project.describe() if "sleep 0.2" in line]

    wait_for(lambda: not sleeping(), "the orphans to end", evidence=sleeping)
    wait_for(lambda: not zombies(), "no zombie", evidence=zombies)


def test_as_pid_1_it_reaps_zombies_and_ends_on_sigterm(project: Project) -> None:
    """As in a container: the supervisor is the init of a pid namespace."""
    running = _start_as_init(project)
    outer = psutil.Process(running.pid)
    (init,) = outer.children()
    for _ in range(5):
        assert project.get("/orphan") == 200
    _expect_orphans_reaped(project, init)
    init.terminate()
    running.wait().expect(0)
    project.assert_gone()


def test_a_stop_from_another_pid_namespace_does_not_mistake_pids(project: Project) -> None:
    """As from the host of a container that shares the directory: its pid 1 is not ours."""
    program = project.program
    running = _start_as_init(project)
    project.program = program
    assert project.oatie("stop", "--json").expect(0).json["pid"] == 1
    running.wait().expect(0)
    project.assert_gone()


def _start_as_init(project: Project) -> Background:
    unshare = shutil.which("unshare")
    allowed = unshare and subprocess.run([unshare, "--pid", "--fork", "true"], check=False).returncode == 0
    if not allowed:
        pytest.skip("only on machines that allow a pid namespace")
    project.version("1")
    project.program = [str(unshare), "--pid", "--fork", "--mount-proc", sys.executable, "-m", "oatie_ops"]
    return project.start()
