"""A process is its pid, its start time and its boot: never its pid alone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from oatie_ops.identity import ProcessIdentity


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_the_current_process_is_alive_and_is_itself() -> None:
    me = ProcessIdentity.current()
    assert me.pid == os.getpid()
    assert me.alive()
    assert me == ProcessIdentity.of(os.getpid())


def test_a_process_that_ended_is_dead() -> None:
    with sleeper() as process:
        identity = ProcessIdentity.of(process.pid)
        assert identity is not None and identity.alive()
        process.kill()
    assert not identity.alive()
    assert ProcessIdentity.of(process.pid) is None


def test_a_zombie_counts_as_dead() -> None:
    process = sleeper()
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet reaped
    try:
        assert not identity.alive()
    finally:
        process.communicate()


def test_a_reused_pid_is_another_process() -> None:
    me = ProcessIdentity.current()
    assert not replace(me, started="long ago").alive()


def test_a_process_of_another_boot_is_dead() -> None:
    assert not replace(ProcessIdentity.current(), boot_id="another boot").alive()


@pytest.mark.parametrize("pid", [0, -1, 2**30])
def test_a_pid_that_cannot_be_has_no_identity(pid: int) -> None:
    assert ProcessIdentity.of(pid) is None


def test_it_survives_being_written_down() -> None:
    me = ProcessIdentity.current()
    assert ProcessIdentity.from_dict(me.to_dict()) == me


@pytest.mark.parametrize("data", [{}, {"pid": "1", "started": 2, "boot_id": "x"}, {"pid": 1, "started": 2}])
def test_anything_else_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="identity"):
        ProcessIdentity.from_dict(data)


def test_a_command_name_with_brackets_and_spaces_does_not_confuse_it() -> None:
    script = "import ctypes,sys; open('/proc/self/comm','w').write(') Z 1 ('); print(flush=True); input()"
    if not sys.platform.startswith("linux"):
        pytest.skip("the name is part of /proc/PID/stat only on Linux")
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        identity = ProcessIdentity.of(process.pid)
        assert identity is not None and identity.alive()
    finally:
        process.kill()
        process.communicate()
