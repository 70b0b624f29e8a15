"""What a new user and an operator do: deploy, look, change, roll back, stop; as real commands."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import time

import pytest

from tests.real.harness import Project, ProjectMaker
from tests.real.waiting import PATIENCE_SECONDS, free_port, wait_for


def test_an_empty_directory_gets_the_demo_and_is_told_so(project: Project) -> None:
    for file in list(project.root.iterdir()):
        file.unlink()
    done = project.oatie("deploy", "--port", str(project.port)).expect(0)
    assert "demo" in done.said
    assert f"http://127.0.0.1:{project.port}" in done.stdout
    answer = project.ask("/")
    assert answer is not None
    assert answer[0] == 200
    # Nobody asked for another port, so the next deploy goes where the demo listens.
    assert project.oatie("deploy").expect(0).stdout.count(str(project.port)) == 1
    project.oatie("stop").expect(0)
    project.assert_gone()


@pytest.mark.slow
def test_a_deploy_moves_to_the_port_that_was_asked_for_and_says_so(project: Project) -> None:
    project.deployed("1")
    project.version("2")
    new = free_port()
    moved = project.oatie("deploy", "--yes", "--port", str(new)).expect(0)
    assert f"the address moves from 127.0.0.1:{project.port} to 127.0.0.1:{new}" in moved.stderr
    assert f"http://127.0.0.1:{new}" in moved.stdout
    assert project.get("/", port=new) == 200
    assert project.get("/", port=project.port) is None


@pytest.mark.slow
def test_port_0_stays_at_the_port_that_it_became(project: Project) -> None:
    project.configure(app={"port": 0})
    project.deployed("1")
    url = project.status()["app"]["url"]
    project.deployed("2")
    assert project.status()["app"]["url"] == url


@pytest.mark.slow
def test_the_own_ops_api_is_no_port_for_the_application_and_is_not_to_be_stopped(project: Project) -> None:
    project.deployed("1")
    project.configure(ops={"listen": None})
    refused = project.deploy("--port", str(project.ops_port)).expect(5)
    error = next(event["error"] for event in refused.events if event["event"] == "error")
    assert "this project itself" in error["why"]
    assert "stop" not in error["fix"]
    assert project.serving() == "1"


@pytest.mark.slow
def test_a_deploy_takes_over_from_workers_of_the_checkout(project: Project) -> None:
    project.version("1")
    project.oatie("start", "--daemon").expect(0)
    assert project.status()["release"] == "checkout"
    project.version("2")
    with project.load(new=3, keep=3) as load:
        done = project.deploy().expect(0)
        load.wait_for_more(50)
        result = load.finish()
    assert result["failed"] == 0
    assert (done.result["release"], done.result["previous"]) == ("1", None)
    assert project.serving() == "2"


@pytest.mark.slow
def test_a_refused_release_over_the_checkout_keeps_it(project: Project) -> None:
    project.version("1")
    project.oatie("start", "--daemon").expect(0)
    project.version("2", startup_error="no")
    project.deploy().expect(7)
    assert project.serving() == "1"
    assert project.status()["release"] == "checkout"


@pytest.mark.slow
def test_rolling_back_twice_goes_further_back_and_the_list_tells_all(project: Project) -> None:
    for version in ("1", "2", "3"):
        project.deployed(version)
    project.oatie("rollback", "--yes").expect(0)
    assert project.serving() == "2"
    project.oatie("rollback", "--yes").expect(0)
    assert project.serving() == "1"
    project.oatie("rollback", "--yes").expect(1)
    assert project.serving() == "1"
    again = project.oatie("rollback", "1", "--yes", "--json").expect(0)
    assert again.result["release"] == "1"
    assert again.step("spawn", "started") is None  # it serves already
    listed = project.oatie("rollback", "--list").expect(0)
    assert [line[0] for line in listed.stdout.splitlines()] == [" ", " ", " ", "*"]  # below the head
    shown = project.oatie("rollback", "--list", "--json").expect(0).json
    assert shown["serving"] == "1"
    assert [release["release"] for release in shown["releases"]] == ["3", "2", "1"]


@pytest.mark.slow
def test_a_rollback_after_a_stop_starts_what_it_goes_back_to(project: Project) -> None:
    project.deployed("1")
    project.deployed("2")
    project.oatie("stop").expect(0)
    project.oatie("rollback", "--yes", "--json").expect(0)
    assert project.serving() == "1"


@pytest.mark.slow
def test_a_failing_deploy_after_a_stop_leaves_nothing_and_says_how_to_return(project: Project) -> None:
    project.deployed("1")
    project.oatie("stop").expect(0)
    project.version("2", startup_error="no")
    failed = project.oatie("deploy").expect(1)
    assert "`oatie start` serves release 1 again" in failed.stdout
    project.assert_gone()
    project.oatie("start", "--daemon").expect(0)
    assert project.serving() == "1"


def test_the_number_of_workers_follows_the_flag(project: Project) -> None:
    project.deployed("1")
    project.version("2")
    project.deploy("--workers", "3").expect(0)
    assert [worker["state"] for worker in project.workers()] == ["serving"] * 3


@pytest.mark.slow
def test_a_closed_stdout_changes_neither_the_run_nor_the_exit_code(project: Project) -> None:
    project.deployed("1")
    project.version("2", startup_error="no")
    for arguments in (["--json"], []):
        reader, writer = os.pipe()
        run = subprocess.Popen(
            [*project.program, "deploy", *arguments],
            cwd=project.root,
            env=project.environ(),
            stdout=writer,
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        os.close(reader)
        assert run.wait(PATIENCE_SECONDS) == 7
        assert project.serving() == "1"
        project.assert_settled()


def test_a_dry_run_after_a_deploy_changes_no_file(project: Project) -> None:
    project.deployed("1")
    before = snapshot(project)
    project.version("2")
    planned = project.oatie("deploy", "--dry-run", "--workers", "3").expect(0)
    assert "release 2 in place of release 1" in planned.stdout
    assert snapshot(project) == before


def snapshot(project: Project) -> dict[str, bytes]:
    """Everything in the state directory but what the running supervisor writes."""
    kept = {}
    for file in sorted(project.state.home.rglob("*")):
        live = file.name.startswith(("state.db-", "samples.db")) or file.parent.name == "logs"
        if file.is_file() and not live:
            kept[str(file.relative_to(project.state.home))] = file.read_bytes()
    return kept


class Terminal:
    """A command on a pseudo-terminal of its own."""

    def __init__(self, project: Project, *arguments: str) -> None:
        self.shown = ""
        master, slave = pty.openpty()
        self.run = subprocess.Popen(
            [*project.program, *arguments],
            cwd=project.root,
            env={**project.environ(), "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.master = master

    def read_until(self, text: str) -> None:
        wait_for(lambda: self._read() and text in self.shown, f"{text!r}", evidence=lambda: self.shown)

    def end(self) -> int:
        wait_for(lambda: self._read() and self.run.poll() is not None, "the end", evidence=lambda: self.shown)
        self._read()
        os.close(self.master)
        return int(self.run.returncode)

    def _read(self) -> bool:
        while select.select([self.master], [], [], 0.02)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            self.shown += data.decode(errors="replace")
        return True


def test_on_a_terminal_the_steps_are_drawn_and_the_verdict_comes_last(project: Project) -> None:
    project.version("1")
    terminal = Terminal(project, "deploy")
    assert terminal.end() == 0
    assert "✓" in terminal.shown
    assert "mark-good" in terminal.shown
    assert terminal.shown.rindex("deployed:") > terminal.shown.rindex("mark-good")
    assert terminal.shown.rindex("\x1b[?25h") > terminal.shown.rindex("\x1b[?25l")  # the cursor is back


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code", "serving"), [("n", 1, "1"), ("y", 0, "2")])
def test_a_gap_is_asked_about_on_a_terminal_and_only_there(
    make_project: ProjectMaker, answer: str, code: int, serving: str
) -> None:
    project = make_project("program.py")
    project.configure(app={"run": None, "command": ["python3", "program.py"], "workers": 1})
    project.version("1")
    project.oatie("deploy").expect(0)
    project.version("2")
    terminal = Terminal(project, "deploy")
    terminal.read_until("go on? [y/N]")
    os.write(terminal.master, f"{answer}\n".encode())
    assert terminal.end() == code
    assert project.serving() == serving
    project.version("3")
    project.oatie("deploy").expect(0)  # no terminal, no question
    assert project.serving() == "3"


@pytest.mark.slow
def test_a_terminal_that_is_gone_undoes_the_deploy(project: Project) -> None:
    project.deployed("1")
    flag = project.outputs / "flag"
    project.version("2", ready_file=str(flag))
    terminal = Terminal(project, "deploy")
    terminal.read_until("status 503")
    os.close(terminal.master)
    terminal.run.send_signal(signal.SIGHUP)
    assert terminal.run.wait(PATIENCE_SECONDS) == 143
    assert project.serving() == "1"
    project.assert_settled()


def test_what_was_done_is_in_the_audit(project: Project) -> None:
    from oatie_ops.store import Store

    started = time.time()
    project.version("1")
    project.oatie("deploy", env={"CI": "true"}).expect(0)
    project.version("2", startup_error="no")
    project.deploy().expect(7)
    with Store.open(project.state.database) as store:
        entries = [entry for entry in store.audit.recent() if entry.action == "deploy"]
    assert [(entry.subject, entry.result) for entry in entries] == [
        ("release 2", "rolled_back"),
        ("release 1", "deployed"),
    ]
    assert entries[1].origin == "ci"
    assert all(entry.actor and entry.at >= started for entry in entries)


@pytest.mark.slow
@pytest.mark.parametrize("versions", [["1"], ["1", "2"]], ids=["first", "second"])
def test_the_client_of_a_killed_deploy_does_not_keep_the_next_one_waiting(
    project: Project, versions: list[str]
) -> None:
    """It was promoted, so it may have clients; they must not hold up the next deploy for their drain."""
    project.configure(app={"drain": "60s"})
    for version in versions[:-1]:
        project.deployed(version)
    project.configure(deploy={"bake": "30s"})
    project.version(versions[-1])
    killed = project.background("deploy", "--yes", "--json")
    killed.wait_for_step("bake")
    with socket.create_connection(("127.0.0.1", project.port)) as client:
        client.sendall(b"GET /work?ms=1000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(
            lambda: any(worker["in_flight"] for worker in project.workers()),
            "a request in flight",
            evidence=project.workers,
        )
        killed.signal(signal.SIGKILL)
        killed.wait()
        project.configure(deploy={"bake": "300ms"})
        project.version("next")
        project.oatie("deploy", "--yes").expect(0)
    assert project.serving() == "next"
