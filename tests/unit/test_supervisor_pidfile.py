"""The pid file, with real processes that live, die, are killed, and whose pid is somebody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from oatie_ops.errors import Locked, PrerequisiteMissing
from oatie_ops.identity import ProcessIdentity
from oatie_ops.supervisor.pidfile import PidFile, live_owner, read

HOLDER = """
import sys
from pathlib import Path
from oatie_ops.supervisor.pidfile import PidFile
from oatie_ops.errors import Locked
try:
    held = PidFile(Path(sys.argv[1]))
    held.acquire()
except Locked:
    print("locked", flush=True)
else:
    print("held", flush=True)
    sys.stdin.read()
    held.release()
"""


def start_holder(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "supervisor.pid"


def test_the_first_line_is_the_plain_pid_and_the_second_says_who_it_is(path: Path) -> None:
    with PidFile(path):
        first, second = path.read_text().splitlines()
        assert int(first) == os.getpid()
        assert ProcessIdentity.from_dict(json.loads(second)) == ProcessIdentity.current()
        assert live_owner(path) == ProcessIdentity.current()
    assert list(path.parent.iterdir()) == []


def test_a_living_owner_is_not_replaced_and_is_named(path: Path) -> None:
    holder = start_holder(path)
    assert answer(holder) == "held"
    before = path.read_text()
    with pytest.raises(Locked, match="running already") as caught:
        PidFile(path).acquire()
    assert str(holder.pid) in caught.value.why
    assert path.read_text() == before
    holder.communicate()
    assert not path.exists()


def test_the_file_of_a_killed_process_is_stale(path: Path) -> None:
    holder = start_holder(path)
    assert answer(holder) == "held"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert path.exists() and live_owner(path) is None
    with PidFile(path):
        assert path.read_text().splitlines()[0] == str(os.getpid())


def test_a_stale_file_whose_pid_was_given_to_another_process_is_stale(path: Path) -> None:
    bystander = replace(ProcessIdentity.current(), started=1)
    path.write_text(f"{bystander.pid}\n{json.dumps(bystander.to_dict())}\n")
    assert read(path) == bystander
    assert live_owner(path) is None
    with PidFile(path):
        assert live_owner(path) == ProcessIdentity.current()


def test_a_file_from_before_a_reboot_is_stale(path: Path) -> None:
    past = replace(ProcessIdentity.current(), boot_id="another boot")
    path.write_text(f"{past.pid}\n{json.dumps(past.to_dict())}\n")
    assert live_owner(path) is None
    with PidFile(path):
        pass


@pytest.mark.parametrize("content", ["", "123\n", "garbage\n{}\n", "1\n[]\n", "\x00\xff"])
def test_a_file_that_is_not_ours_to_read_is_nobodys(path: Path, content: str) -> None:
    path.write_text(content)
    assert read(path) is None
    with PidFile(path):
        assert live_owner(path) == ProcessIdentity.current()


def test_a_file_that_somebody_replaced_is_left_alone(path: Path) -> None:
    ours = PidFile(path)
    ours.acquire()
    path.unlink()
    path.write_text("somebody else's\n")
    ours.release()
    assert path.read_text() == "somebody else's\n"
    ours.release()


def test_a_file_that_somebody_removed_is_no_error(path: Path) -> None:
    ours = PidFile(path)
    ours.acquire()
    path.unlink()
    ours.release()


def test_of_many_that_start_at_once_over_a_stale_file_one_gets_it(path: Path) -> None:
    path.write_text("stale\n")
    holders = [start_holder(path) for _ in range(6)]
    answers = [answer(holder) for holder in holders]
    owner = read(path)
    for holder in holders:
        holder.communicate()
    assert sorted(answers) == ["held"] + ["locked"] * 5
    assert owner and owner.pid == holders[answers.index("held")].pid
    assert list(path.parent.iterdir()) == []


def test_a_place_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteMissing) as caught:
        PidFile(tmp_path / "missing" / "x.pid").acquire()
    assert "--pid-file" in caught.value.fix


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "x.pid").symlink_to(victim)
    with pytest.raises(PrerequisiteMissing):
        PidFile(tmp_path / "x.pid").acquire()
    assert victim.read_text() == "precious"
