"""The program as a user runs it: help, errors, exit codes, signals, pipes, and what it imports."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oatie_ops.cli import table
from oatie_ops.cli.exit import run

PROGRAM = [sys.executable, "-m", "oatie_ops"]

# The real program with one more command, that ends in whatever way its argument says.
WITH_PROBE = """
import sys, types
from typing import Annotated
import typer
from oatie_ops.cli import table
from oatie_ops.errors import OatieError
def command(way: str, json: Annotated[bool, typer.Option("--json")] = False, port: int = 1) -> int:
    "A probe."
    if way == "code": return 3
    if way == "exit": raise typer.Exit(6)
    if way == "refuse": raise OatieError("refused", why="it was bad", fix="mend it", exit_code=7)
    if way == "crash": raise ValueError("unforeseen")
    if way == "socket": raise BrokenPipeError(32, "a socket broke")
    if way == "interrupt": raise KeyboardInterrupt
    if way == "wait":
        import time
        try:
            print("waiting", flush=True)
            time.sleep(60)
        finally:
            print("cleaned up", flush=True)
    if way == "flood":
        while True: print("x" * 1000)
    return 0
module = types.ModuleType("oatie_ops.cli.probe")
module.command = command
sys.modules[module.__name__] = module
table.ENTRIES["probe"] = table.Entry("probe", "A probe.", (("oatie probe code", "ends with 3"),))
from oatie_ops.__main__ import main
main()
"""


def oatie(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], check=False, capture_output=True, text=True, cwd=cwd, timeout=60
    )


def probe(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITH_PROBE, "probe", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, timeout=60)


def start_probe(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WITH_PROBE, "probe", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# -- help ----------------------------------------------------------------------------------------------


def test_the_version_is_on_stdout() -> None:
    done = oatie("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("oatie ")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_help_lists_every_command_with_examples(arguments: list[str]) -> None:
    done = oatie(*arguments)
    assert done.returncode == 0
    for name, entry in table.ENTRIES.items():
        assert f"  {name} " in done.stdout and entry.summary in done.stdout
    assert "Examples:" in done.stdout


def test_no_help_line_is_too_wide_for_a_terminal() -> None:
    assert max(map(len, table.main_help().splitlines())) <= 80


Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Iterator[Say]:
    """Exit code, stdout and stderr of a command line that only prints, without the start of a process."""
    terminate = signal.getsignal(signal.SIGTERM)  # `run` takes it over

    def said(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        return code, *capsys.readouterr()

    yield said
    signal.signal(signal.SIGTERM, terminate)


@pytest.mark.parametrize("name", list(table.ENTRIES))
def test_a_commands_help_shows_examples_before_the_options(name: str, say: Say) -> None:
    code, text, _ = say(name, "--help")
    assert code == 0
    assert text.startswith(f"Usage: oatie {name} ")
    assert text.index(f"  oatie {name}") < text.index("Options:")
    assert say(name, "-h") == (0, text, "")
    assert name in table.TOPICS or say("help", name) == (0, text, "")
    assert "--install-completion" not in text and "─" not in text


def test_a_process_prints_that_very_help(say: Say) -> None:
    done = oatie("deploy", "--help")
    assert (done.returncode, done.stdout, done.stderr) == say("deploy", "--help")


# -- usage errors --------------------------------------------------------------------------------------


def test_an_unknown_command_suggests_the_nearest() -> None:
    done = oatie("deplyo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: there is no command 'deplyo'",
        "  fix: did you mean `oatie deploy`?",
    ]


def test_an_unknown_command_unlike_any_points_to_the_help(say: Say) -> None:
    assert "oatie --help" in say("xyzzy")[2]


def test_an_unknown_option_suggests_the_nearest(say: Say) -> None:
    code, _, talk = say("logs", "--folow")
    assert code == 2
    assert "No such option: --folow" in talk and "did you mean --follow?" in talk


def test_an_unknown_target_suggests_the_nearest(say: Say) -> None:
    code, _, talk = say("deploy", "--target", "dokcer")
    assert code == 2 and "did you mean docker?" in talk


@pytest.mark.parametrize("arguments", [["logs", "--lines", "many"], ["logs", "--lines"], ["stop", "now"]])
def test_wrong_values_are_usage_errors(arguments: list[str], say: Say) -> None:
    code, _, talk = say(*arguments)
    assert code == 2
    assert talk.startswith("error: ") and f"oatie {arguments[0]} --help" in talk


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["start", "--port", "abc"], "'abc' is not a whole number"),
        (["start", "--port", "99999"], "99999 is not between 0 and 65535"),
        (["start", "--workers", "0"], "0 is less than 1"),
        (["deploy", "--wait-lock", "soon"], "'soon' is not a number"),
    ],
)
def test_a_wrong_number_is_told_in_words(arguments: list[str], says: str, say: Say) -> None:
    assert says in say(*arguments)[2]


def test_a_usage_error_is_json_where_json_was_asked_for() -> None:
    done = oatie("logs", "--json", "--folow")
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout)["error"]["code"] == "usage-error"


# -- how a command ends --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "code"), [("none", 0), ("code", 3), ("exit", 6), ("refuse", 7), ("interrupt", 130)]
)
def test_exit_codes_come_through(way: str, code: int, tmp_path: Path) -> None:
    assert probe(way, cwd=tmp_path).returncode == code


def test_an_expected_error_is_rendered_once(tmp_path: Path) -> None:
    done = probe("refuse", cwd=tmp_path)
    assert done.stdout == ""
    assert done.stderr == "error: refused\n  why: it was bad\n  fix: mend it\n"
    assert json.loads(probe("refuse", "--json", cwd=tmp_path).stdout)["error"]["exit_code"] == 7


@pytest.mark.parametrize("way", ["crash", "socket"])
def test_an_unexpected_error_is_one_line_and_a_private_file(way: str, tmp_path: Path) -> None:
    logs = tmp_path / ".oatie" / "logs"
    logs.mkdir(parents=True)
    (tmp_path / "oatie.toml").write_text("")
    done = probe(way, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    [file] = logs.iterdir()
    assert str(file) in done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "Traceback" in file.read_text() and f"oatie probe {way}" in file.read_text()


def test_sigterm_cleans_up_and_exits_143() -> None:
    process = start_probe("wait")
    assert process.stdout and process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (143, "cleaned up\n", "")


def test_ctrl_c_cleans_up_and_exits_130() -> None:
    process = start_probe("wait")
    assert process.stdout and process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "cleaned up\n", "interrupted\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only on Linux: /dev/full")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_words_that_cannot_be_written_do_not_change_the_exit_code(stream: str) -> None:
    """Also where the interpreter is taken apart, for a thread that is still busy."""
    code = (
        "import sys, threading; from oatie_ops.cli.exit import leave;"
        "threading.Thread(target=threading.Event().wait, daemon=True).start();"
        "sys.stdout, sys.stderr = (open(n, 'w', closefd=False) for n in (1, 2));"
        f"sys.{stream}.write('last words'); leave(143)"
    )
    with Path("/dev/full").open("w") as full:
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: full}
        done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60, **streams)
    assert done.returncode == 143


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    process = start_probe("flood")
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_locale_without_the_character_does_not_break_the_output(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*PROGRAM, "stöp"], check=False, capture_output=True, env=environ, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 2 and b"\\xf6" in done.stderr


def test_windows_is_told_about_wsl(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert run(["status"]) == 5
    assert "WSL" in capsys.readouterr().err


# -- what is imported ----------------------------------------------------------------------------------

HEAVY = {"rich", "pydantic", "psutil", "httpx", "fastapi", "starlette", "uvicorn", "docker", "watchfiles"}
LIGHT_COMMANDS = HEAVY | {"asyncio", "sqlite3", "multiprocessing"}
LIST_MODULES = """
import atexit, os, sys
os._exit = sys.exit  # `leave` would not come to the list
def report():
    modules = sorted(sys.modules)
    import json
    print(json.dumps(modules), file=sys.stderr)
atexit.register(report)
from oatie_ops.__main__ import main
sys.argv = ["oatie", *sys.argv[1:]]
main()
"""


def imported(*arguments: str, cwd: Path) -> set[str]:
    command = [sys.executable, "-c", LIST_MODULES, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], []])
def test_what_needs_no_command_imports_no_parser(arguments: list[str], tmp_path: Path) -> None:
    modules = imported(*arguments, cwd=tmp_path)
    assert not modules & (HEAVY | {"typer", "asyncio", "json"})


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["help", "exit-codes"]])
def test_what_has_no_word_to_parse_imports_no_parser(arguments: list[str], tmp_path: Path) -> None:
    assert not imported(*arguments, cwd=tmp_path) & (LIGHT_COMMANDS | {"typer"})


def test_what_a_monitoring_scheduler_asks_imports_no_parser(tmp_path: Path) -> None:
    assert "typer" not in imported("health", "--format", "nagios", cwd=tmp_path)


@pytest.mark.parametrize("arguments", [["status", "--help"], ["stop"], ["reload"], ["logs"]])
def test_commands_about_a_running_service_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    modules = imported(*arguments, cwd=tmp_path)
    assert "typer" in modules
    assert not modules & LIGHT_COMMANDS


@pytest.mark.parametrize("name", list(table.ENTRIES))
def test_help_of_a_command_imports_nothing_heavy(name: str, tmp_path: Path) -> None:
    assert not imported(name, "--help", cwd=tmp_path) & (HEAVY | {"asyncio", "sqlite3"})


LEAVE = """
import threading, time
from oatie_ops.cli.exit import leave
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print("words")
leave(7)
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only on Linux: /dev/full")
def test_the_exit_code_stands_where_the_last_words_cannot_be_written() -> None:
    """A daemon thread, as of an engine's call, has the interpreter end in its own way."""
    with Path("/dev/full").open("w") as full:
        # -E: a buffer is what this is about, so nobody's PYTHONUNBUFFERED.
        command = [sys.executable, "-E", "-c", LEAVE]
        done = subprocess.run(command, stdout=full, timeout=60, check=False)
    assert done.returncode == 7
