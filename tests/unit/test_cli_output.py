"""Streams, colours and the one error renderer."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping

import pytest

from oatie_ops.cli import output
from oatie_ops.cli.human import age, count, size, table
from oatie_ops.errors import ConfigInvalid, OatieError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


PIPE, TERMINAL = io.StringIO(), Terminal()


@pytest.mark.parametrize(
    ("environ", "in_pipe", "on_terminal"),
    [
        ({}, False, True),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, False, True),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"CI": "true", "GITHUB_ACTIONS": "true"}, False, True),
    ],
)
def test_colour_is_decided_by_the_stream_and_the_known_variables(
    environ: Mapping[str, str], in_pipe: bool, on_terminal: bool
) -> None:
    assert output.use_color(PIPE, environ) is in_pipe
    assert output.use_color(TERMINAL, environ) is on_terminal


def test_lines_are_redrawn_only_on_a_terminal_and_never_in_ci() -> None:
    assert output.use_animation(TERMINAL, {})
    assert not output.use_animation(TERMINAL, {"CI": "1"})
    assert not output.use_animation(TERMINAL, {"TERM": "dumb"})
    assert not output.use_animation(PIPE, {"FORCE_COLOR": "1"})
    assert not output.use_animation(None, {})


def test_a_closed_stream_is_no_terminal() -> None:
    closed = Terminal()
    closed.close()
    assert not output.is_terminal(closed) or not output.use_color(closed, {"NO_COLOR": "1"})
    assert not output.is_terminal(None)


FULL = OatieError(
    "port 8080 is taken",
    why="held by pid 7\nsince noon",
    fix="stop it",
    details=["line one", "line two\nmore"],
)


def test_an_error_says_what_why_and_last_how_to_fix_it() -> None:
    assert output.render_error(FULL, PIPE).splitlines() == [
        "error: port 8080 is taken",
        "  why: held by pid 7",
        "       since noon",
        "    line one",
        "    line two",
        "    more",
        "  fix: stop it",
    ]


def test_an_error_without_evidence_is_one_line() -> None:
    assert output.render_error(OatieError("no"), PIPE) == "error: no"


def test_an_error_as_json_is_a_document_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    output.report_error(ConfigInvalid("2 problems", data={"count": 2}), as_json=True)
    out, err = capsys.readouterr()
    assert err == ""
    error = json.loads(out)["error"]
    assert (error["code"], error["exit_code"], error["data"]) == ("config-invalid", 4, {"count": 2})


def test_an_error_for_people_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output.report_error(FULL)
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1] == "  fix: stop it"


def test_json_in_a_pipe_is_one_line_of_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_json({"name": "dätä \udcff", "path": __import__("pathlib").Path("/x")})
    assert capsys.readouterr().out == '{"name": "d\\u00e4t\\u00e4 \\udcff", "path": "/x"}\n'


def run_on_terminal(code: str, environ: Mapping[str, str]) -> bytes:
    """What a program shows on a real pseudo-terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=clean(environ)
    )
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 4096):
            shown += data
    except OSError:  # Linux's way to say that nobody has the other end any more
        pass
    finally:
        os.close(ours)
        process.wait()
    return shown


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    steering = {"NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CI", "GITHUB_ACTIONS"}
    kept = {name: value for name, value in os.environ.items() if name not in steering}
    return {**kept, "TERM": "xterm", **environ}


UNKNOWN = "import sys; sys.argv = ['oatie', 'stauts']; from oatie_ops.__main__ import main; main()"


def test_a_terminal_gets_colour() -> None:
    assert b"\x1b[1;31merror:\x1b[0m" in run_on_terminal(UNKNOWN, {})


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_gets_no_colour_where_it_is_not_wanted(environ: Mapping[str, str]) -> None:
    shown = run_on_terminal(UNKNOWN, environ)
    assert b"error: there is no command" in shown and b"\x1b" not in shown


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": "true", "CI": "true"}])
def test_a_pipe_gets_no_escape_sequence_anywhere(environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNKNOWN], check=False, capture_output=True, env=clean(environ)
    )
    assert b"\x1b" not in done.stdout + done.stderr


def test_a_pipe_gets_colour_where_it_is_forced() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNKNOWN], check=False, capture_output=True, env=clean({"FORCE_COLOR": "1"})
    )
    assert b"\x1b[1;31merror:" in done.stderr


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m"), (7384, "2h3m"), (86_400 * 3 + 5, "3d"), (-1, "0s")],
)
def test_an_age_has_at_most_two_units(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_sizes_are_whole() -> None:
    assert (size(53_477_376), size(2048)) == ("51 MiB", "2 KiB")


def test_a_table_is_aligned_and_shows_what_is_missing() -> None:
    assert table(("A", "LONG"), [("one", ""), ("x", "y")]) == ["A    LONG", "one  -", "x    y"]


# -- waiting -------------------------------------------------------------------------------------------

WAIT = """
import time
from oatie_ops.cli import waiting
waiting.QUIET_SECONDS = 0.0
with waiting.Waiting() as line:
    for text in ("first", "first", "second"):
        line.update(text)
        time.sleep(waiting.REDRAW_SECONDS)
with waiting.waiting_for("something slow"):
    time.sleep(3 * waiting.REDRAW_SECONDS)
"""


def test_a_wait_is_redrawn_on_a_terminal_and_wiped_at_its_end() -> None:
    shown = run_on_terminal(WAIT, {})
    assert b"\r\x1b[Kfirst (0s)" in shown and b"something slow (0s)" in shown
    assert shown.endswith(b"\r\x1b[K") and b"\n" not in shown


def test_a_wait_in_a_log_is_one_line_for_each_new_reason() -> None:
    done = subprocess.run([sys.executable, "-c", WAIT], check=True, capture_output=True, env=clean({}))
    assert done.stderr == b"first\nsecond\nsomething slow\n"


def test_a_short_wait_is_not_mentioned() -> None:
    code = "from oatie_ops.cli.waiting import Waiting\nwith Waiting() as line: line.update('x')"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=clean({}))
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (99_999, "99999"), (100_000, "100k"), (12_345_678, "12345k"), (123_456_789, "123M")],
)
def test_a_count_has_five_digits_at_most(number: int, text: str) -> None:
    assert count(number) == text


def test_what_others_said_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A reason can come over HTTP, a check's output from anywhere."""
    hostile = "down \x1b]0;owned\x07\x1b[2J\r\u202eevil \x9b2J"
    output.emit(f"\x1b[31mred\x1b[0m\t{hostile}\nnext")
    output.say(hostile)
    told = capsys.readouterr()
    assert told.out.startswith("\x1b[31mred\x1b[0m\tdown  ")
    assert told.out.endswith("\nnext\n")
    left = told.out.replace("\x1b[31m", "").replace("\x1b[0m", "") + told.err
    assert all(character.isprintable() or character in "\t\n" for character in left)
