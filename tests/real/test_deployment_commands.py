"""Build and release commands as real processes: what they print, how they end, and what is left of them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from oatie_ops.deployment.commands import CommandFailed, CommandTimedOut, run_command
from oatie_ops.errors import Interrupted
from tests.real.waiting import PATIENCE_SECONDS, wait_for

MARKER = "OATIE_COMMAND_TEST"


class Commands:
    """Runs commands in one directory, keeps what they said, and finds their processes by a marker."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "logs" / "build.log"
        self.lines: list[str] = []
        self.environment = {"PATH": os.environ["PATH"], MARKER: str(directory)}

    def run(
        self, command: str, timeout_seconds: float = 60.0, on_line: Callable[[str], None] | None = None
    ) -> float:
        return run_command(
            command,
            role="build command",
            cwd=self.directory,
            environment=self.environment,
            log=self.log,
            on_line=on_line or self.lines.append,
            timeout_seconds=timeout_seconds,
            timeout_key="[deploy] build_timeout",
        )

    def processes(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._ours(process)]

    def _ours(self, process: psutil.Process) -> bool:
        try:
            zombie = process.status() == psutil.STATUS_ZOMBIE
            return not zombie and process.environ().get(MARKER) == str(self.directory)
        except psutil.Error:
            return False

    def assert_nothing_left(self) -> None:
        wait_for(lambda: not self.processes(), "every process of the command to end", evidence=self.processes)


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


def test_output_and_errors_come_line_by_line_and_are_logged_privately(commands: Commands) -> None:
    commands.run("echo one; echo two >&2; printf three")
    assert commands.lines == ["one", "two", "three"]
    assert commands.log.read_text() == "$ echo one; echo two >&2; printf three\none\ntwo\nthree\n"
    assert stat.S_IMODE(commands.log.stat().st_mode) == 0o600


def test_a_line_is_shown_while_the_command_still_runs(commands: Commands) -> None:
    os.mkfifo(commands.directory / "gate")

    def answer(line: str) -> None:
        commands.lines.append(line)
        if line == "ready":
            (commands.directory / "gate").write_text("go\n")

    commands.run("echo ready; cat gate", on_line=answer)
    assert commands.lines == ["ready", "go"]


def test_it_runs_in_its_directory_with_an_empty_standard_input(commands: Commands) -> None:
    commands.run("pwd -P; cat; echo end")
    assert commands.lines == [str(commands.directory.resolve()), "end"]


def test_a_failure_shows_the_code_and_the_last_thirty_lines(commands: Commands) -> None:
    with pytest.raises(CommandFailed) as caught:
        commands.run("for i in $(seq 50); do echo line $i; done; exit 3")
    error = caught.value
    assert "exited with code 3" in error.why and str(commands.log) in error.fix
    assert error.details == tuple(f"line {number}" for number in range(21, 51))
    assert error.data == {"exit_code": 3}


def test_a_program_that_is_not_there_is_named(commands: Commands) -> None:
    with pytest.raises(CommandFailed, match="build command `no-such-program --fast` failed") as caught:
        commands.run("no-such-program --fast")
    assert "not found" in caught.value.why


def test_a_command_that_was_killed_says_by_which_signal(commands: Commands) -> None:
    with pytest.raises(CommandFailed) as caught:
        commands.run("kill -9 $$")
    assert "SIGKILL" in caught.value.why


def test_a_command_that_takes_too_long_is_ended_with_its_children(commands: Commands) -> None:
    with pytest.raises(CommandTimedOut) as caught:
        commands.run("echo started; sleep 1000 & sleep 1000", timeout_seconds=0.5)
    assert "0.5 s" in caught.value.why and "build_timeout" in caught.value.fix
    assert caught.value.details == ("started",)
    commands.assert_nothing_left()


@pytest.mark.slow
def test_a_command_that_ignores_the_request_to_end_is_killed(commands: Commands) -> None:
    with pytest.raises(CommandTimedOut):
        commands.run("trap '' TERM; while :; do sleep 0.1; done", timeout_seconds=0.5)
    commands.assert_nothing_left()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted("interrupted"), RuntimeError("listener")])
def test_an_exception_meanwhile_ends_the_command_and_its_children(
    commands: Commands, error: BaseException
) -> None:
    def fail(line: str) -> None:
        raise error

    with pytest.raises(type(error)):
        commands.run("sleep 1000 & echo started; sleep 1000", on_line=fail)
    commands.assert_nothing_left()


def test_a_child_left_in_the_background_is_ended_when_the_command_is_over(commands: Commands) -> None:
    commands.run("sleep 1000 & echo over")
    assert commands.lines == ["over"]
    commands.assert_nothing_left()


ESCAPE = """
import os, time
read_end, write_end = os.pipe()
if os.fork() == 0:
    os.setsid()
    os.write(write_end, b"x")
    time.sleep(1000)
os.read(read_end, 1)
print("escaped", flush=True)
"""


def test_a_daemon_that_escapes_does_not_keep_the_build_waiting(commands: Commands) -> None:
    (commands.directory / "escape.py").write_text(ESCAPE)
    commands.run(f"{sys.executable} escape.py")
    (daemon,) = commands.processes()  # it holds the pipe of the output open
    daemon.kill()
    assert commands.lines == ["escaped"]


CALLER = """
import os, sys
from pathlib import Path
from oatie_ops.deployment.commands import run_command
run_command(
    "echo started; (sleep 1000 & sleep 1000)", role="build command", cwd=Path(sys.argv[1]),
    environment=dict(os.environ), log=Path(sys.argv[1]) / "log", on_line=lambda line: print(line, flush=True),
    timeout_seconds=1000, timeout_key="",
)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_of_a_command_outlives_a_killed_oatie(commands: Commands, number: signal.Signals) -> None:
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(commands.directory)],
        env={**os.environ, **commands.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert caller.stdout is not None
    try:
        assert caller.stdout.readline() == "started\n"
        assert len(commands.processes()) > 2
        caller.send_signal(number)
        caller.wait(PATIENCE_SECONDS)
        commands.assert_nothing_left()
    finally:
        caller.kill()
        caller.communicate()


def test_the_seconds_that_it_took_are_returned(commands: Commands) -> None:
    before = time.monotonic()
    seconds = commands.run("true")
    assert 0 < seconds <= time.monotonic() - before
