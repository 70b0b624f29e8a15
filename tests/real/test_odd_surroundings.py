"""Commands where the shell, the job runner or the disk is not as one expects: streams, directories, state."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.harness import COMMAND_TIMEOUT_SECONDS, Project
from tests.real.waiting import need_program

# How a shell closes streams.
ALL_CLOSED = '<&- >&- 2>&- exec "$@"'
STDOUT_CLOSED = '>&- exec "$@"'
STDOUT_FULL = '>/dev/full exec "$@"'


def through_shell(project: Project, how: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", how, "sh", *project.program, *arguments],
        cwd=project.root,
        env=project.environ(),
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_SECONDS,
        check=False,
    )


@pytest.mark.slow
def test_closed_streams_change_neither_what_is_done_nor_the_exit_code(project: Project) -> None:
    project.version("1")
    assert through_shell(project, STDOUT_CLOSED, "deploy", "--yes").returncode == 0
    assert through_shell(project, ALL_CLOSED, "reload").returncode == 0
    assert through_shell(project, ALL_CLOSED, "stop").returncode == 0
    # In front: what the workers get must not land on the numbers of the streams either.
    assert through_shell(project, ALL_CLOSED + " &", "start").returncode == 0
    project.wait_until_running()
    assert project.serving() == "1"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only on Linux: /dev/full")
@pytest.mark.parametrize("command", ["--version", "status", "status --json", "help guide"])
def test_a_result_that_cannot_be_written_is_told_on_stderr(project: Project, command: str) -> None:
    done = through_shell(project, STDOUT_FULL, *command.split())
    assert done.returncode == 1
    assert "standard output" in done.stderr and os.strerror(28) in done.stderr
    assert "unexpectedly" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["status", "deploy --yes", "start", "init", "detect"])
def test_a_working_directory_that_is_gone_is_named_once(tmp_path: Path, command: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1"; rmdir "$1"; shift; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(gone), sys.executable, "-m", "oatie_ops", *command.split()],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert done.stderr.count("error:") == 1 and "not there any more" in done.stderr


@pytest.mark.parametrize("home", [".", "oatie.toml", "oatie.toml/in/it", "/dev/null/x"])
def test_a_place_that_cannot_hold_the_state_is_refused_before_anything_is_written(
    project: Project, home: str
) -> None:
    project.version("1")
    before = sorted(project.root.iterdir())
    for command in ("deploy --yes", "status"):
        done = project.oatie(*command.split(), env={"OATIE_HOME": home}).expect(5)
        assert "OATIE_HOME" in done.stderr and "unexpectedly" not in done.stderr
    assert sorted(project.root.iterdir()) == before


@pytest.mark.slow
def test_a_release_that_is_damaged_keeps_neither_a_deploy_nor_the_log_away(project: Project) -> None:
    project.deployed("1")
    project.oatie("stop").expect(0)
    (project.state.releases / "1" / "manifest.json").write_text("{")
    assert "is damaged" in project.oatie("start", "--daemon").expect(1).stderr
    assert "Application startup complete" in project.oatie("logs").expect(0).stdout
    project.deployed("2")
    assert project.serving() == "2"


@pytest.mark.slow
def test_a_failure_that_is_no_text_is_told_and_undone_as_any_other(project: Project) -> None:
    project.deployed("1")
    (project.root / "service.py").write_text('raise RuntimeError("no such file: caf\\udce9 \\x1b[2J")\n')
    done = project.deploy().expect(7)
    assert "no such file: caf" in done.said and "unexpectedly" not in done.said
    assert "no such file: caf" in project.oatie("rollback", "--list").expect(0).stdout
    assert project.serving() == "1"
    project.assert_settled()


@pytest.mark.skipif(os.geteuid() != 0, reason="only on machines where the tests are root")
def test_the_state_of_another_user_is_named_as_such_and_left_alone(project: Project) -> None:
    """As root on what somebody else deploys: nothing of root's may lie among their files afterwards."""
    project.version("1")
    project.state.ensure()
    for place in (project.state.home, *project.state.home.rglob("*")):
        os.chown(place, 65534, 65534)
    for command in ("deploy --yes", "start", "status"):
        done = project.oatie(*command.split())
        assert "unexpectedly" not in done.said
        if command != "status":  # only looks
            assert done.code == 5 and "another user" in done.stderr, done
    owners = {place.stat().st_uid for place in (project.state.home, *project.state.home.rglob("*"))}
    assert owners == {65534}
    project.assert_settled()


@pytest.mark.skipif(os.geteuid() != 0, reason="only on machines where the tests are root")
@pytest.mark.parametrize("command", ["status", "deploy --yes", "rollback", "logs", "stop", "token create x"])
def test_state_that_is_private_to_another_user_is_told(project: Project, command: str) -> None:
    project.version("1")
    project.state.ensure()
    # Root without the capability to read what is others': as any other user.
    for place in (project.state.home, *project.state.home.rglob("*")):
        os.chown(place, 65534, 65534)
    drop = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    project.program = [need_program("setpriv"), *drop, *project.program]
    done = project.oatie(*command.split())
    assert done.code == 5 and "belongs to nobody and is private" in done.stderr, done


def config_check(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "oatie_ops", "config", "check"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(("name", "code"), [("oatie.toml", 4), ("pyproject.toml", 0)])
def test_a_configuration_that_is_a_pipe_is_not_waited_for(tmp_path: Path, name: str, code: int) -> None:
    os.mkfifo(tmp_path / name)
    done = config_check(tmp_path)
    assert done.returncode == code and "unexpectedly" not in done.stderr, done


def test_a_configuration_that_is_nested_too_deeply_is_refused_once(tmp_path: Path) -> None:
    (tmp_path / ".oatie").mkdir()
    (tmp_path / "oatie.toml").write_text(f"x = {'[' * 5000}{']' * 5000}\n")
    done = config_check(tmp_path)
    assert done.returncode == 4 and "nested too deeply" in done.stdout, done
    assert "unexpectedly" not in done.stderr
