"""The deploy lock inside one process; other processes are in tests/real/test_deployment_lock_processes.py."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from oatie_ops.deployment.lock import DeployLock, LockOwner, deploy_lock
from oatie_ops.errors import Locked, PrerequisiteMissing
from oatie_ops.exit_codes import ExitCode
from oatie_ops.identity import ProcessIdentity, pid_namespace


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deploy.lock"


def test_it_is_held_for_the_block_and_leaves_no_file(path: Path) -> None:
    with deploy_lock(path, "deploy", actor="ana") as lock:
        assert lock.held
        holder = lock.holder()
        assert holder is not None
        assert (holder.actor, holder.action) == ("ana", "deploy")
        assert holder.identity == ProcessIdentity.current()
    assert not lock.held
    assert list(path.parent.iterdir()) == []


def test_a_second_taker_is_told_who_since_when_doing_what_and_how_to_wait(path: Path) -> None:
    with deploy_lock(path, "deploy of release 7", actor="ana"), pytest.raises(Locked) as caught:
        DeployLock(path).acquire("deploy", actor="bo")
    error = caught.value
    assert error.exit_code is ExitCode.LOCKED
    assert "deploy of release 7 by ana" in error.what
    assert f"process {os.getpid()}" in error.why and "since" in error.why
    assert "--wait-lock" in error.fix
    assert error.data["holder"]["actor"] == "ana"


def test_waiting_tells_the_listener_and_takes_the_lock_when_it_is_free(path: Path) -> None:
    first = DeployLock(path)
    first.acquire("deploy", actor="ana")
    seen: list[str] = []

    def on_wait(holder: LockOwner | None, waited_seconds: float) -> None:
        assert holder is not None and waited_seconds >= 0
        seen.append(holder.actor)
        first.release()

    second = DeployLock(path)
    owner = second.acquire("rollback", actor="bo", wait_seconds=60, on_wait=on_wait)
    assert seen == ["ana"]
    assert owner.action == "rollback"
    second.release()


def test_waiting_ends_with_locked_when_time_is_up(path: Path) -> None:
    with deploy_lock(path, "deploy", actor="ana"), pytest.raises(Locked) as caught:
        DeployLock(path).acquire("deploy", actor="bo", wait_seconds=0.15)
    assert caught.value.data["waited_seconds"] >= 0.1


def test_an_error_inside_the_block_gives_the_lock_back(path: Path) -> None:
    with pytest.raises(RuntimeError), deploy_lock(path, "deploy", actor="ana"):
        raise RuntimeError
    with deploy_lock(path, "deploy", actor="bo"):
        pass


def test_releasing_twice_or_unheld_is_harmless(path: Path) -> None:
    lock = DeployLock(path)
    lock.release()
    lock.acquire("deploy", actor="ana")
    lock.release()
    lock.release()
    assert lock.holder() is None


def test_a_late_release_does_not_remove_the_lock_of_somebody_else(path: Path) -> None:
    first = DeployLock(path)
    first.acquire("deploy", actor="ana")
    path.unlink()  # an operator removed it by hand
    with deploy_lock(path, "deploy", actor="bo"):
        first.release()
        holder = DeployLock(path).holder()
        assert holder is not None and holder.actor == "bo"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"identity": 3}', '{"identity": {"pid": 1}}'])
def test_a_file_that_a_killed_run_left_is_taken_over(path: Path, content: str) -> None:
    path.write_text(content)
    assert DeployLock(path).holder() is None
    with deploy_lock(path, "deploy", actor="ana"):
        pass


@pytest.mark.parametrize("content", ["", "{"])
def test_a_held_lock_without_a_readable_owner_is_still_a_held_lock(path: Path, content: str) -> None:
    path.write_text(content)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Locked) as caught:
            DeployLock(path).acquire("deploy", actor="bo")
    assert caught.value.why and caught.value.fix


def owner(**changes: object) -> LockOwner:
    mine = ProcessIdentity.current()
    base = LockOwner(mine, socket.gethostname(), pid_namespace(), "ana", "deploy", 1000.0)
    return replace(base, **changes)  # type: ignore[arg-type]


def test_death_is_only_proven_on_the_same_host_boot_and_namespace() -> None:
    gone = replace(ProcessIdentity.current(), started="never")
    assert owner(identity=gone).provably_dead()
    assert not owner().provably_dead()
    assert not owner(identity=gone, host="elsewhere").provably_dead()
    assert not owner(identity=gone, namespace="pid:[1]").provably_dead()
    assert not owner(identity=replace(gone, boot_id="before the reboot")).provably_dead()


def test_a_lock_kept_open_by_somebody_else_than_its_dead_owner_is_replaced(path: Path) -> None:
    """A child that inherited the open file outlives the owner: the identity proves that the owner is dead."""
    dead = owner(identity=replace(ProcessIdentity.current(), started="never"))
    path.write_text(json.dumps(dead.to_dict()))
    with path.open() as inherited:
        fcntl.flock(inherited, fcntl.LOCK_EX)
        assert DeployLock(path).holder() is None
        with deploy_lock(path, "deploy", actor="bo") as lock:
            holder = lock.holder()
            assert holder is not None and holder.actor == "bo"
            with pytest.raises(Locked):
                DeployLock(path).acquire("deploy", actor="cy")


def test_a_missing_directory_is_a_missing_prerequisite(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteMissing) as caught:
        DeployLock(tmp_path / "nowhere" / "deploy.lock").acquire("deploy", actor="ana")
    assert caught.value.why and caught.value.fix
    assert DeployLock(tmp_path / "nowhere" / "deploy.lock").holder() is None
