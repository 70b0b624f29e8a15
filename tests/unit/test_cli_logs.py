"""`oatie logs` on real files: the last lines over rotations, filters, and following."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oatie_ops.cli.logs import printable, since_stamp
from oatie_ops.errors import UsageError
from oatie_ops.supervisor.logfile import RotatingFile, rotated
from oatie_ops.supervisor.logline import prefix, stamp
from oatie_ops.supervisor.logread import LogReader, Wanted
from oatie_ops.supervisor.logs import log_file

EPOCH = 1_700_000_000.0


def line(number: int, worker: object = 1, stream: str = "stdout") -> bytes:
    return prefix(EPOCH + number, worker, stream) + b"line %d" % number


def write_rotated(directory: Path, lines: list[bytes], max_bytes: int = 10**6, keep: int = 9) -> RotatingFile:
    file = RotatingFile(log_file(directory), max_bytes, keep)
    for text in lines:
        file.write(text + b"\n")
    return file


def last(directory: Path, lines: int | None, wanted: Wanted | None = None) -> list[bytes]:
    with LogReader(directory) as reader:
        return reader.last(wanted or Wanted(), lines)


# -- the last lines ------------------------------------------------------------------------------------


def test_the_last_lines_come_from_all_rotated_files_in_order(tmp_path: Path) -> None:
    lines = [line(n) for n in range(40)]
    write_rotated(tmp_path, lines, max_bytes=200)
    assert rotated(log_file(tmp_path), 5).exists()
    assert last(tmp_path, None) == lines
    assert last(tmp_path, 17) == lines[-17:]
    assert last(tmp_path, 0) == []


@settings(max_examples=50)
@given(st.lists(st.integers(0, 70_000), max_size=6), st.integers(1, 8))
def test_long_lines_are_read_back_whole(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], want: int
) -> None:
    directory = tmp_path_factory.mktemp("logs")
    lines = [prefix(EPOCH + n, 1, "stdout") + b"x" * length for n, length in enumerate(lengths)]
    write_rotated(directory, lines).close()
    assert last(directory, want) == lines[-want:]


def test_one_worker_can_be_picked(tmp_path: Path) -> None:
    lines = [line(n, worker=("supervisor", 1, 2, 12)[n % 4]) for n in range(40)]
    write_rotated(tmp_path, lines)
    assert last(tmp_path, None, Wanted(worker="2")) == lines[2::4]
    assert last(tmp_path, 3, Wanted(worker="supervisor")) == lines[0::4][-3:]


def test_only_lines_since_a_time(tmp_path: Path) -> None:
    lines = [line(n) for n in range(10)]
    write_rotated(tmp_path, [*lines[:5], b"1234 torn by a full disk", *lines[5:]])
    assert last(tmp_path, None, Wanted(since=stamp(EPOCH + 7))) == lines[7:]
    assert last(tmp_path, 2, Wanted(since=stamp(EPOCH + 7))) == lines[8:]
    assert last(tmp_path, None, Wanted(since=stamp(EPOCH + 99))) == []


def test_where_nothing_was_ever_written_there_is_nothing(tmp_path: Path) -> None:
    assert last(tmp_path / "missing", 10) == []


# -- following -----------------------------------------------------------------------------------------


class Enough(Exception):
    """Raised by the test's `wait` to end a follow."""


def follow(reader: LogReader, steps: list[Callable[[], object]], wanted: Wanted | None = None) -> list[bytes]:
    """What comes while the steps (callables) are done one by one, each when there is nothing left to read."""
    pending = iter(steps)

    def wait() -> None:
        step = next(pending, None)
        if step is None:
            raise Enough
        step()

    seen: list[bytes] = []
    with pytest.raises(Enough):
        for item in reader.follow(wanted or Wanted(), wait):
            seen.append(item)
    return seen


def test_following_shows_what_is_new_and_only_once(tmp_path: Path) -> None:
    file = write_rotated(tmp_path, [line(0)])
    with LogReader(tmp_path) as reader:
        file.write(line(1) + b"\n")
        assert reader.last(Wanted(), None) == [line(0)]
        assert follow(reader, [lambda: file.write(line(2) + b"\n"), lambda: None]) == [line(1), line(2)]


def test_following_goes_on_across_any_number_of_rotations(tmp_path: Path) -> None:
    file = write_rotated(tmp_path, [line(0)], max_bytes=200)
    numbers = count(1)

    def write_many() -> None:
        for _ in range(13):
            file.write(line(next(numbers)) + b"\n")

    with LogReader(tmp_path) as reader:
        seen = follow(reader, [write_many] * 4)
        assert seen == [line(n) for n in range(1, 53)]
        assert len(reader._files) <= 2


def test_following_starts_before_the_first_line_is_ever_written(tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    with LogReader(directory) as reader:
        seen = follow(reader, [lambda: write_rotated(directory, [line(1), line(2)])])
    assert seen == [line(1), line(2)]


def test_a_line_that_is_half_written_is_shown_once_it_is_whole(tmp_path: Path) -> None:
    file = write_rotated(tmp_path, [line(0)])
    file.write(line(1)[:10])
    with LogReader(tmp_path) as reader:
        assert reader.last(Wanted(), None) == [line(0)]
        assert follow(reader, [lambda: file.write(line(1)[10:] + b"\n")]) == [line(1)]


def test_a_file_that_starts_again_is_followed(tmp_path: Path) -> None:
    file = write_rotated(tmp_path, [line(n) for n in range(5)], keep=0)

    def start_again() -> None:
        os.truncate(log_file(tmp_path), 0)
        file.write(line(9) + b"\n")

    with LogReader(tmp_path) as reader:
        assert follow(reader, [start_again]) == [line(9)]


def test_following_one_worker(tmp_path: Path) -> None:
    file = write_rotated(tmp_path, [])
    with LogReader(tmp_path) as reader:
        both = line(1, worker=1) + b"\n" + line(2, worker=2) + b"\n"
        assert follow(reader, [lambda: file.write(both)], Wanted(worker="2")) == [line(2, worker=2)]


# -- the command ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", stamp(EPOCH - 600)),
        ("90", stamp(EPOCH - 90)),
        ("1h30m", stamp(EPOCH - 5400)),
        ("2023-11-14T22:13:20Z", stamp(EPOCH)),
        ("2023-11-14T22:13:20", stamp(EPOCH)),
        ("2023-11-15T00:13:20+02:00", stamp(EPOCH)),
        ("2023-11-14", "2023-11-14T00:00:00.000Z"),
    ],
)
def test_since_takes_durations_and_times(text: str, expected: str) -> None:
    assert since_stamp(text, EPOCH) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "10 parsecs", "-5m"])
def test_since_refuses_what_is_neither(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        since_stamp(text, EPOCH)
    assert "--since 10m" in caught.value.fix


def test_a_line_cannot_steer_the_terminal() -> None:
    nasty = "a\x1b]0;title\x07b\x1b[2Jc\x1b[31mred\x1b[0m\td\x9b"
    assert printable(nasty, colored=True) == "a\\x1b]0;title\\x07b\\x1b[2Jc\x1b[31mred\x1b[0m\td\\x9b"
    assert printable(nasty, colored=False) == "a\\x1b]0;title\\x07b\\x1b[2Jcred\td\\x9b"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OATIE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def oatie_logs(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "oatie_ops", "logs", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_the_command_works_when_nothing_runs(home: Path) -> None:
    write_rotated(home / "logs", [line(n) for n in range(150)])
    assert oatie_logs().stdout.splitlines() == [line(n).decode() for n in range(50, 150)]
    assert oatie_logs("-n", "2").stdout.splitlines() == [line(148).decode(), line(149).decode()]
    assert len(oatie_logs("--since", "2023-11-14T22:13:20Z").stdout.splitlines()) == 150
    [event] = map(json.loads, oatie_logs("-n", "1", "--json").stdout.splitlines())
    assert event == {"time": stamp(EPOCH + 149), "worker": "1", "stream": "stdout", "text": "line 149"}


def test_the_command_says_where_it_found_nothing(home: Path) -> None:
    done = oatie_logs("--worker", "7")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing has run here" in done.stderr
    assert str(home / "logs") in done.stderr


def test_the_command_tells_a_worker_that_never_was_from_a_time_without_lines(home: Path) -> None:
    write_rotated(home / "logs", [line(1), line(2, worker=10), line(3, worker="supervisor")])
    assert "no line of worker 7" in oatie_logs("--worker", "7").stderr
    assert "there are lines of 1, 10, supervisor" in oatie_logs("--worker", "7").stderr
    assert f"newest of all is of {stamp(EPOCH + 3)}" in oatie_logs("--since", "1m").stderr
    assert oatie_logs("-n", "0").stderr == ""


def start_following(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "oatie_ops", "logs", "-f", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_follows_until_ctrl_c(home: Path) -> None:
    file = write_rotated(home / "logs", [line(0)])
    process = start_following()
    assert process.stdout and process.stdout.readline().endswith("line 0\n")
    file.write(line(1) + b"\n")
    assert process.stdout.readline().endswith("line 1\n")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


def test_the_command_ends_when_its_reader_does_even_if_nothing_more_is_written(home: Path) -> None:
    write_rotated(home / "logs", [line(0)])
    process = start_following()
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == ""
    process.stderr.close()
