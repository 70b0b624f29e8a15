"""`oatie start`, `stop`, `status`, `reload` and `logs` on real processes: a supervisor's ordinary life."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.real.harness import Project
from tests.real.loadrun import lost
from tests.real.waiting import free_port, port_answers, wait_for


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_foreground_start_serves_and_ends_cleanly_on_a_signal(project: Project, number: int) -> None:
    project.version("1")
    running = project.start()
    assert project.serving() == "1"
    running.signal(number)
    running.wait().expect(0)
    project.assert_gone()


def test_a_daemon_returns_once_healthy_and_prints_where_it_answers(project: Project) -> None:
    project.version("1")
    done = project.oatie("start", "--daemon", "--health-check").expect(0)
    assert str(project.port) in done.stdout
    assert project.serving() == "1"
    assert project.status()["state"] == "running"
    project.oatie("stop").expect(0)
    project.assert_gone()


def test_a_daemon_that_cannot_start_fails_with_the_reason_and_its_last_log_lines(project: Project) -> None:
    project.version("1", import_error="a_module_that_is_not_there", say_at_boot="a boot line")
    failed = project.oatie("start", "--daemon", "--health-check").expect(1)
    assert "a_module_that_is_not_there" in failed.said
    assert "a boot line" in failed.said
    project.assert_gone()


@pytest.mark.slow
def test_a_daemon_that_is_never_ready_fails_after_its_time(project: Project) -> None:
    project.configure(app={"ready_timeout": "5s"})  # on a busy machine the worker has not booted before
    project.version("1", ready_status=503)
    failed = project.oatie("start", "--daemon", "--health-check").expect(1)
    assert "503" in failed.said
    project.assert_gone()


def test_status_has_the_documented_shape_running_or_not(project: Project) -> None:
    project.version("1")
    absent = project.oatie("status", "--json").expect(1).json
    assert absent["state"] == "not running"
    running = project.start()
    status = project.oatie("status", "--json").expect(0).json
    assert status.keys() == absent.keys()
    assert status["supervisor"]["pid"] == running.pid
    assert status["app"]["url"].endswith(f":{project.port}")
    assert status["ops"]["url"].endswith(f":{project.ops_port}")
    assert len(status["workers"]) == 2
    for worker in status["workers"]:
        assert psutil.pid_exists(worker["pid"])
        assert worker["state"] == "serving"
        assert worker["rss_bytes"] > 2**20


def test_options_of_the_command_line_win(project: Project) -> None:
    project.version("1")
    port = free_port()
    project.background("start", "--port", str(port), "--workers", "3", "--host", "127.0.0.1")
    wait_for(lambda: project.get("/ready", port=port) == 200, "an answer on the port of the option")
    assert not port_answers(project.port)
    wait_for(lambda: [w["state"] for w in project.workers()].count("serving") == 3, "three workers")


def test_the_env_file_reaches_the_workers(project: Project) -> None:
    project.version("1")
    (project.root / "some.env").write_text("# a comment\nGREETING=hello there\n")
    project.start("--env-file", "some.env")
    answer = project.ask("/env?name=GREETING")
    assert answer
    assert answer[2] == b"hello there"


def test_a_second_start_is_refused_and_disturbs_nothing(project: Project) -> None:
    project.version("1")
    running = project.start()
    refused = project.oatie("start").expect(6)
    assert str(running.pid) in refused.said
    assert project.status()["supervisor"]["pid"] == running.pid
    assert project.serving() == "1"


def test_stop_answers_the_requests_in_flight(project: Project) -> None:
    project.version("1")
    running = project.start()
    answers: list[tuple[int, dict[str, str], bytes] | None] = []
    asking = threading.Thread(target=lambda: answers.append(project.ask("/slow?seconds=4")))
    asking.start()
    wait_for(lambda: sum(w["in_flight"] for w in project.workers()) == 1, "a request in flight")
    project.oatie("stop").expect(0)
    asking.join()
    assert answers[0]
    assert answers[0][0] == 200
    running.wait().expect(0)
    project.assert_gone()


def test_a_second_signal_ends_a_drain(project: Project) -> None:
    project.configure(app={"drain": "100s"})
    project.version("1")
    running = project.start()
    asking = threading.Thread(target=lambda: project.ask("/slow?seconds=100", timeout_seconds=100))
    asking.start()
    wait_for(lambda: sum(w["in_flight"] for w in project.workers()) == 1, "a request in flight")
    running.signal(signal.SIGTERM)
    wait_for(lambda: not port_answers(project.port), "the port to close")
    running.signal(signal.SIGTERM)
    running.wait()
    asking.join()
    project.assert_gone()


def test_a_worker_that_ignores_sigterm_cannot_hold_up_a_stop(project: Project) -> None:
    project.configure(app={"stop_timeout": "1s"})
    project.version("1", ignore_sigterm=True)
    running = project.start()
    project.oatie("stop").expect(0)
    running.wait()
    project.assert_gone()


def test_stop_where_nothing_runs_is_no_error(project: Project) -> None:
    project.oatie("stop").expect(0)


def test_more_and_fewer_workers_by_signal(project: Project) -> None:
    project.version("1")
    running = project.start()

    def serving() -> int:
        return [worker["state"] for worker in project.workers()].count("serving")

    running.signal(signal.SIGTTIN)
    wait_for(lambda: serving() == 3, "a third worker")
    running.signal(signal.SIGTTOU)
    wait_for(lambda: serving() == 2, "two workers again")


def test_dev_reloads_when_a_file_changes(project: Project) -> None:
    project.version("1")
    project.start("--dev")
    project.version("2")
    wait_for(lambda: _touched(project) and project.serving() == "2", "the changed application")


def test_dev_survives_broken_code_and_takes_the_mended(project: Project) -> None:
    project.version("1")
    project.start("--dev")
    source = (project.root / "service.py").read_text()
    (project.root / "service.py").write_text("this is no python\n")

    def refused() -> bool:
        return _touched(project) and "SyntaxError" in project.oatie("logs").stdout

    wait_for(refused, "the syntax error in the logs")
    assert project.serving() == "1"
    project.version("2")
    (project.root / "service.py").write_text(source)
    wait_for(lambda: project.serving() == "2", "the mended application")


def _touched(project: Project) -> bool:
    """Again and again, with room for a reload in between: nobody says from when on files are watched."""
    (project.root / "service.py").touch()
    time.sleep(1)
    return True


def test_dev_does_not_reload_for_what_the_application_itself_writes(project: Project) -> None:
    """A log, a data file, or the output of this very command, redirected into the checkout."""
    project.version("1")
    running = project.start("--dev")
    wait_for(lambda: _touched(project) and "reloaded" in project.oatie("logs").stdout, "files to be watched")
    settled = project.workers()[-1]["pid"]
    for name in ("out.txt", "data.sqlite3", "data.sqlite3-wal", "nohup.out", "service.log"):
        (project.root / name).write_text("written")
    time.sleep(1)
    assert project.workers()[-1]["pid"] == settled, running.so_far()


def test_logs_are_captured_per_worker_with_their_time(project: Project) -> None:
    project.version("1")
    project.start()
    project.get("/say?bytes=33")
    line = "y" * 33
    wait_for(lambda: line in project.oatie("logs").stdout, "the worker's line in the logs")
    shown = next(text for text in project.oatie("logs").stdout.splitlines() if line in text)
    assert shown[:4].isdigit(), shown  # a year: time-stamped
    assert line in project.oatie("logs", "--since", "5m").stdout


def test_logs_are_rotated_and_bounded(project: Project) -> None:
    project.configure(logs={"max_size": "50KB", "keep": 2})
    project.version("1")
    project.start()
    for _ in range(60):
        project.get("/say?bytes=10000")

    def rotated() -> list[Path]:
        return [file for file in project.state.logs.rglob("*") if file.is_file()]

    wait_for(lambda: len(rotated()) > 1, "a rotated file", evidence=rotated)
    # Two workers at most write files of their own; none is kept beyond its number and size.
    assert sum(file.stat().st_size for file in rotated()) < 600_000


def test_logs_can_be_followed(project: Project) -> None:
    project.version("1")
    project.start()
    following = project.background("logs", "-f")
    project.get("/say?bytes=44")
    wait_for(lambda: "y" * 44 in following.so_far().stdout, "the line to arrive", evidence=following.so_far)
    following.signal(signal.SIGINT)
    following.wait()


def test_systemd_is_told_ready_watchdog_reloading_and_stopping(project: Project) -> None:
    project.version("1", startup_seconds=0.5)
    address = project.outputs / "n"
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(0.01)

        def listen() -> list[str]:
            try:
                while True:
                    heard.extend(manager.recv(4096).decode().splitlines())
            except TimeoutError:
                return heard

        env = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "2000000"}
        running = project.background("start", env=env)
        wait_for(lambda: "READY=1" in listen(), "READY=1", evidence=running.so_far)
        # Ready is said once users are answered, not before.
        assert project.get("/ready") == 200
        wait_for(lambda: "WATCHDOG=1" in listen(), "WATCHDOG=1", evidence=listen)
        answer = project.ask("/env?name=NOTIFY_SOCKET")
        assert answer
        assert answer[2] == b"", "a worker could speak in the supervisor's name"
        heard.clear()
        running.signal(signal.SIGHUP)
        wait_for(lambda: "RELOADING=1" in listen(), "RELOADING=1", evidence=listen)
        wait_for(lambda: "READY=1" in listen(), "READY=1 after the reload", evidence=listen)
        running.signal(signal.SIGTERM)
        wait_for(lambda: "STOPPING=1" in listen(), "STOPPING=1", evidence=listen)
        running.wait().expect(0)


def test_a_pid_file_of_ones_own_is_written_and_removed(project: Project) -> None:
    project.version("1")
    file = project.outputs / "proof.pid"
    running = project.start("--pid-file", str(file))
    assert int(file.read_text().splitlines()[0]) == running.pid
    running.signal(signal.SIGTERM)
    running.wait().expect(0)
    assert not file.exists()


@pytest.mark.parametrize("whose", ["nobody's", "another process's"])
def test_a_stale_pid_file_does_not_keep_a_start_away(project: Project, whose: str) -> None:
    """The pid in it may have been given to somebody else: this very test, for one."""
    project.version("1")
    first = project.start()
    record = project.state.supervisor_pid.read_text()
    project.kill(first.pid)
    first.wait()
    wait_for(lambda: not project.processes(), "the orphans to end", evidence=project.describe)
    if whose == "another process's":
        lines = record.replace(str(first.pid), str(os.getpid()))
        project.state.supervisor_pid.write_text(lines)
    second = project.start()
    assert project.status()["supervisor"]["pid"] == second.pid
    second.signal(signal.SIGTERM)
    second.wait().expect(0)
    project.assert_gone()


@pytest.mark.slow
def test_after_a_restart_the_deployed_release_serves_not_the_checkout(project: Project) -> None:
    project.deployed("1")
    project.version("2")
    project.oatie("stop").expect(0)
    project.assert_gone()
    project.start()
    assert project.serving() == "1"


def test_json_of_stop_and_reload_is_one_result(project: Project) -> None:
    project.version("1")
    project.start()
    reload = project.oatie("reload", "--json").expect(0)
    assert reload.result["status"] == "reloaded"
    stopped = json.loads(project.oatie("stop", "--json").expect(0).stdout)
    assert stopped["status"] == "stopped"


@pytest.mark.slow
def test_a_reload_after_a_reload_keeps_two_workers(project: Project) -> None:
    project.version("1")
    running = project.start()
    with project.load(new=3, keep=3) as load:
        for _ in range(3):
            running.signal(signal.SIGHUP)
        # Exit 6 while the one that a signal asked for is under way.
        wait_for(lambda: project.oatie("reload").code == 0, "a reload of our own")
        load.wait_for_more(100)
        result = load.finish()
    assert not lost(result)
    wait_for(lambda: [w["state"] for w in project.workers()] == ["serving"] * 2, "two workers serving")


@pytest.mark.slow
def test_an_edit_that_waits_for_a_deploy_is_told_by_start_and_reload(project: Project) -> None:
    project.deployed("1")
    assert "oatie.toml has changed" not in project.oatie("reload").expect(0).stderr
    assert project.status()["app"]["host"] == "127.0.0.1"
    project.configure(app={"drain": "7s"})
    assert "oatie.toml has changed since in [app] drain" in project.oatie("reload").expect(0).stderr
    project.oatie("stop").expect(0)
    told = project.oatie("start", "--daemon", "--port", str(free_port()), "--log-level", "debug").expect(0)
    assert "oatie.toml has changed since in [app] drain (" in told.stderr
