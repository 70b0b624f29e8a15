"""What must hold before anything changes: every problem with what, why and fix, all of them at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment.address import Move, at_running_address, probe_app_port
from oatie_ops.deployment.facts import Facts
from oatie_ops.deployment.host import (
    Holder,
    Port,
    cgroup_available_bytes,
    nearest_existing,
    probe_port,
    write_problem,
)
from oatie_ops.deployment.prerequisites import (
    BUILD_ESTIMATE_BYTES,
    disk_needed_bytes,
    error_for,
    memory_needed_bytes,
    problems,
)
from oatie_ops.exit_codes import ExitCode
from oatie_ops.supervisor.rival import Rival
from tests.real.waiting import wait_for
from tests.unit.deployment_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def with_host(facts: Facts, **values: object) -> Facts:
    return replace(facts, host=replace(facts.host, **values))  # type: ignore[arg-type]


def test_a_healthy_host_has_no_problem(world: World) -> None:
    assert problems(world.facts()) == []


def test_all_problems_are_told_at_once_each_with_why_and_fix(world: World) -> None:
    bad = with_host(
        world.facts(),
        python=(3, 9),
        disk_free_bytes=0,
        memory_available_bytes=0,
        state_problem="/srv is not writable for this user",
        app_port=Port("127.0.0.1", 8080, "address already in use", (Holder(42, "python -m http.server"),)),
    )
    found = problems(bad)
    assert len(found) == 5
    assert all(problem.what and problem.why and problem.fix for problem in found)
    error = error_for(found)
    assert error.exit_code == ExitCode.PREREQUISITE_MISSING
    text = "\n".join(error.details)
    for word in ("Python 3.9", "disk", "memory", "/srv", "process 42", "python -m http.server"):
        assert word in text
    assert [problem["what"] for problem in error.data["problems"]] == [problem.what for problem in found]


def test_another_oatie_on_the_port_is_stopped_where_it_lives(world: World) -> None:
    holder = Holder(42, "python entry.py workers", Rival(41, Path("/srv/shop")))
    found = problems(with_host(world.facts(), app_port=Port("127.0.0.1", 8080, "in use", (holder,))))
    assert found[0].why == "in use: the oatie of /srv/shop holds it (process 41)"
    assert found[0].fix.startswith("`oatie stop` in /srv/shop, or")


def test_one_problem_speaks_for_itself(world: World) -> None:
    found = problems(with_host(world.facts(), disk_free_bytes=0))
    error = error_for(found)
    assert (error.what, error.why, error.fix) == (found[0].what, found[0].why, found[0].fix)


def test_a_build_needs_more_disk_and_a_python_that_makes_environments(world: World) -> None:
    plain = world.facts()
    world.configure(build=("pip install flask",))
    building = world.facts()
    assert disk_needed_bytes(building) - disk_needed_bytes(plain) == BUILD_ESTIMATE_BYTES
    no_venv = "python has no module ensurepip"
    assert problems(with_host(plain, venv_problem=no_venv)) == []
    assert "python3-venv" in problems(with_host(building, venv_problem=no_venv))[0].fix


def test_memory_for_the_overlap_is_what_the_running_workers_were_measured_with(world: World) -> None:
    estimated = memory_needed_bytes(world.facts())
    world.target.supervised, world.target.serving = True, "6"
    running = world.facts()
    assert running.running is not None
    heavy = replace(running, running=replace(running.running, worker_rss_bytes=(10**9, 2 * 10**9)))
    assert memory_needed_bytes(heavy) == 2 * 2 * 10**9
    assert memory_needed_bytes(heavy) > estimated
    found = problems(with_host(heavy, memory_available_bytes=10**9))
    assert "as measured now" in found[0].why


def test_too_few_open_files_are_told_before_a_start_that_would_fail_halfway(world: World) -> None:
    assert problems(with_host(world.facts(), open_files_limit=1024)) == []
    found = problems(with_host(world.facts(), open_files_limit=40))
    assert "only 40 files" in found[0].what and "ulimit -n" in found[0].fix
    world.target.supervised, world.target.serving = True, "6"
    assert problems(with_host(world.facts(), open_files_limit=40)) == []


def test_a_program_that_is_nowhere_is_found_missing_before_anything_starts(world: World) -> None:
    world.settings = replace(world.settings, app=AppSettings(command=("no-such-program-here", "--x")))
    assert "'no-such-program-here' is in no directory of PATH" in problems(world.facts())[0].why
    world.settings = replace(world.settings, app=AppSettings(command=("./server",)))
    assert "server is not there" in problems(world.facts())[0].why
    (world.root / "server").write_text("#!/bin/sh\n")
    (world.root / "server").chmod(0o755)
    assert problems(world.facts()) == []


def test_a_program_that_the_build_makes_is_not_looked_for_before_it(world: World) -> None:
    world.configure(build=("make server",))
    world.settings = replace(world.settings, app=AppSettings(command=("./server",)))
    assert problems(world.facts()) == []


def test_a_release_whose_files_or_build_are_gone_cannot_be_rolled_back_to(world: World) -> None:
    world.deploy()
    facts = world.rollback_facts(1)
    assert problems(facts) == []
    assert facts.made is not None
    (facts.made.directory / "main.py").unlink()
    facts.made.directory.rmdir()
    assert "oatie rollback --list" in problems(world.rollback_facts(1))[0].fix


def serving_at(world: World, host: str, port: int) -> Facts:
    world.target.supervised, world.target.serving = True, "6"
    facts = world.facts()
    assert facts.running is not None
    return replace(facts, running=replace(facts.running, host=host, port=port))


def test_what_nobody_asked_for_stays_where_it_is_and_port_0_is_where_it_listens(world: World) -> None:
    running = serving_at(world, "0.0.0.0", 9000).running
    stays = at_running_address(world.settings, running)
    assert (stays.app.host, stays.app.port) == ("0.0.0.0", 9000)
    asked = at_running_address(world.settings, running, port=False, host=False)
    assert asked == world.settings
    any_port = replace(world.settings, app=replace(world.settings.app, port=0))
    assert at_running_address(any_port, running, port=False, host=False).app.port == 9000
    assert at_running_address(any_port, None).app.port == 0


def test_another_port_or_host_is_a_move_and_no_problem(world: World) -> None:
    assert serving_at(world, "127.0.0.1", 8080).move is None
    port = serving_at(world, "127.0.0.1", 9000)
    assert problems(port) == []
    assert port.move == Move("127.0.0.1:9000", "127.0.0.1:8080", same_port=False)
    host = serving_at(world, "::1", 8080)
    assert problems(host) == []
    assert host.move == Move("[::1]:8080", "127.0.0.1:8080", same_port=True)


def test_a_port_of_this_project_itself_is_never_told_to_be_stopped(world: World) -> None:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen()
        number = own.getsockname()[1]
        facts = serving_at(world, "127.0.0.1", 8080)  # supervised by this process
        wanted = replace(facts.settings, app=replace(facts.settings.app, port=number))
        taken = probe_app_port(wanted, world.paths, facts.running)
        assert taken.own
        (problem,) = problems(with_host(facts, app_port=taken))
        assert "this project itself" in problem.why
        assert "stop" not in problem.fix
        assert facts.running is not None
        given_up = probe_app_port(wanted, world.paths, replace(facts.running, port=number))
        assert given_up == Port("127.0.0.1", number)


def test_a_port_that_a_child_of_a_worker_holds_is_given_up_too(world: World, tmp_path: Path) -> None:
    ready = tmp_path / "port"
    program = (
        "import socket, sys, time; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen();"
        f"open({str(ready)!r}, 'w').write(str(s.getsockname()[1])); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program])
    try:
        wait_for(lambda: ready.exists() and ready.read_text().isdecimal(), "the child's port")
        number = int(ready.read_text())
        facts = serving_at(world, "127.0.0.1", number)
        wanted = replace(facts.settings, app=replace(facts.settings.app, port=number))
        assert probe_app_port(wanted, world.paths, facts.running) == Port("127.0.0.1", number)
    finally:
        child.kill()
        child.wait()


def test_a_taken_port_names_its_holder() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        number = holder.getsockname()[1]
        taken = probe_port("127.0.0.1", number)
    assert taken.problem
    assert os.getpid() in [each.pid for each in taken.holders]
    assert probe_port("127.0.0.1", number) == Port("127.0.0.1", number)


def test_an_address_of_another_machine_is_a_problem_and_port_0_is_not() -> None:
    assert probe_port("192.0.2.7", 8080).problem  # TEST-NET-1 belongs to nobody
    assert probe_port("no-such-host.invalid", 8080).problem
    assert probe_port("127.0.0.1", 0).problem == ""


def test_the_place_of_a_state_directory_that_is_not_there_yet_is_judged(tmp_path: Path) -> None:
    assert nearest_existing(tmp_path / "a" / "b") == tmp_path
    assert write_problem(tmp_path) == ""
    file = tmp_path / "file"
    file.write_text("")
    assert "not a directory" in write_problem(file)


def test_the_limit_of_a_control_group_counts_less_what_can_be_reclaimed(tmp_path: Path) -> None:
    assert cgroup_available_bytes(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 300\n")
    assert cgroup_available_bytes(tmp_path) == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert cgroup_available_bytes(tmp_path) is None
