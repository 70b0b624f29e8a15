"""The deploy lock between real processes: races, kills, and children that outlive the owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oatie_ops.deployment.lock import DeployLock, deploy_lock
from oatie_ops.errors import Locked
from oatie_ops.identity import ProcessIdentity
from tests.real.waiting import PATIENCE_SECONDS, wait_for

HOLDER = """
import sys
from pathlib import Path
from oatie_ops.deployment.lock import deploy_lock
with deploy_lock(Path(sys.argv[1]), "deploy", actor="ana"):
    print("held", flush=True)
    sys.stdin.readline()
"""

# A child that was forked without exec keeps the open file, and so the flock, of its parent.
FORKING_HOLDER = """
import os, sys
from pathlib import Path
from oatie_ops.deployment.lock import DeployLock
DeployLock(Path(sys.argv[1])).acquire("deploy", actor="ana")
child = os.fork()
if child == 0:
    os.read(int(sys.argv[2]), 1)
    os._exit(0)
print(child, flush=True)
sys.stdin.readline()
"""

# Adds one to a number in a file, in a way that loses counts unless nobody else does it meanwhile. It asks
# for the lock without a pause, so that takers meet the removal of the file all the time.
COUNTER = """
import os, sys
from pathlib import Path
from oatie_ops.deployment import lock
lock.POLL_SECONDS = 0.0
path, number = Path(sys.argv[1]), Path(sys.argv[2])
for turn in range(int(sys.argv[3])):
    with lock.deploy_lock(path, "deploy", actor=str(os.getpid()), wait_seconds=60):
        value = int(number.read_text())
        number.write_text(str(value + 1))
        if turn == 19 and sys.argv[4] == "die":
            os.kill(os.getpid(), 9)
"""

Starter = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Starter]:
    started: list[subprocess.Popen[str]] = []

    def run(script: str, *arguments: str, fds: tuple[int, ...] = ()) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, *arguments]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=fds
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deploy.lock"


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_process_is_refused_and_told_about_the_first(path: Path, start: Starter) -> None:
    holder = start(HOLDER, str(path))
    assert first_line(holder) == "held"
    with pytest.raises(Locked) as caught:
        DeployLock(path).acquire("rollback", actor="bo")
    assert f"process {holder.pid} " in caught.value.why
    assert f"kill -INT {holder.pid}" in caught.value.fix


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_lock_of_a_killed_owner_is_free_at_once(
    path: Path, start: Starter, number: signal.Signals
) -> None:
    holder = start(HOLDER, str(path))
    assert first_line(holder) == "held"
    holder.send_signal(number)
    holder.wait(PATIENCE_SECONDS)
    assert DeployLock(path).holder() is None
    with deploy_lock(path, "deploy", actor="bo"):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_child_that_outlives_a_killed_owner_does_not_keep_the_lock(path: Path, start: Starter) -> None:
    read_end, write_end = os.pipe()
    try:
        holder = start(FORKING_HOLDER, str(path), str(read_end), fds=(read_end,))
        child = ProcessIdentity.of(int(first_line(holder)))
        assert child is not None
        holder.kill()
        holder.wait(PATIENCE_SECONDS)
        assert child.alive()
        with deploy_lock(path, "deploy", actor="bo") as lock:
            holder_now = lock.holder()
            assert holder_now is not None and holder_now.actor == "bo"
    finally:
        os.close(write_end)
        os.close(read_end)
    wait_for(lambda: not child.alive(), "the child to end")


def test_a_waiting_process_gets_the_lock_when_the_owner_is_killed(path: Path, start: Starter) -> None:
    holder = start(HOLDER, str(path))
    assert first_line(holder) == "held"
    waiter = DeployLock(path)
    waiter.acquire(
        "deploy", actor="bo", wait_seconds=PATIENCE_SECONDS, on_wait=lambda owner, seconds: holder.kill()
    )
    assert waiter.held
    waiter.release()


def test_racing_deployers_never_hold_it_together_even_when_some_are_killed(
    path: Path, tmp_path: Path, start: Starter
) -> None:
    number = tmp_path / "number"
    number.write_text("0")
    fates = ["live", "die", "live", "die"]
    racers = [start(COUNTER, str(path), str(number), "200", fate) for fate in fates]
    codes = [racer.wait(PATIENCE_SECONDS * 2) for racer in racers]
    assert codes == [0, -signal.SIGKILL, 0, -signal.SIGKILL]
    assert number.read_text() == str(200 + 20 + 200 + 20)
