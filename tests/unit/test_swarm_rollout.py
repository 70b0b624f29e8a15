"""The verdict on a rollout, from what a swarm tells of service and tasks."""

from __future__ import annotations

from typing import Any

import pytest

from oatie_ops.deployment.targets.swarm.looking import swarm_problems
from oatie_ops.deployment.targets.swarm.rollout import Seen, Task, judge, seen_from


def task(
    release: str = "2",
    state: str = "running",
    desired: str = "running",
    error: str = "",
    code: int | None = None,
) -> Task:
    return Task(f"t-{release}-{state}", 1, release, state, desired, "n1", error, code, "c", "")


def seen(*tasks: Task, status: str = "completed", release: str = "2", replicas: int = 2) -> Seen:
    return Seen(release, replicas, status, "message", tasks)


NEW, OLD = task(), task("1")


@pytest.mark.parametrize(
    ("now", "first", "verdict"),
    [
        (seen(NEW, NEW), False, "done"),
        (seen(NEW, NEW, status="updating"), False, "going on"),
        (seen(NEW, NEW, status=""), False, "going on"),  # not begun is not done
        (seen(NEW, NEW, status=""), True, "done"),
        (seen(NEW, NEW, OLD), False, "going on"),
        (seen(NEW), False, "going on"),
        (seen(OLD, OLD, status="rollback_started", release="1"), False, "failed"),
        (seen(OLD, OLD, status="rollback_completed", release="1"), False, "failed"),
        (seen(OLD, OLD, status="rollback_paused", release="1"), False, "failed"),
        (seen(NEW, OLD, status="paused"), False, "failed"),
        (seen(NEW, NEW, release="3"), False, "failed"),
        (seen(NEW, task(state="failed"), status=""), True, "failed"),
        (seen(NEW, task(state="rejected"), status=""), True, "failed"),
        # In an update it is the engine that counts failures and turns back.
        (seen(NEW, task(state="failed"), OLD, status="updating"), False, "going on"),
    ],
)
def test_verdict(now: Seen, first: bool, verdict: str) -> None:
    assert judge(now, "2", first=first).verdict == verdict


def test_a_failure_names_the_task_and_what_the_engine_did() -> None:
    failed = task(state="failed", desired="shutdown", error="task: non-zero exit (3)", code=3)
    found = judge(seen(OLD, failed, status="rollback_completed", release="1"), "2", first=False)
    assert found.task == failed
    assert "task 1 on n1: task: non-zero exit (3), exit code 3" in found.why
    assert "turned the update back" in found.why


def test_waiting_says_what_for() -> None:
    pending = task(state="pending", error="no suitable node (insufficient memory)")
    assert "no suitable node" in judge(seen(OLD, pending, status="updating"), "2", first=False).why


def test_the_status_of_an_update_before_ours_is_not_ours() -> None:
    service: dict[str, Any] = {
        "Spec": {"Labels": {"oatie.release": "2"}, "Mode": {"Replicated": {"Replicas": 2}}},
        "UpdateStatus": {"State": "completed", "StartedAt": "earlier", "Message": "m"},
    }
    assert seen_from(service, [], {}, "earlier").status == ""
    assert seen_from(service, [], {}, "before that").status == "completed"


def test_a_task_is_read_with_the_name_of_its_node() -> None:
    found = {
        "ID": "t",
        "Slot": 3,
        "NodeID": "id1",
        "DesiredState": "shutdown",
        "Spec": {"ContainerSpec": {"Labels": {"oatie.release": "7"}}},
        "Status": {"State": "failed", "Err": "boom", "ContainerStatus": {"ContainerID": "c", "ExitCode": 9}},
    }
    (one,) = seen_from({"Spec": {}}, [found], {"id1": "web-1"}, "").tasks
    assert (one.slot, one.node, one.release, one.error, one.exit_code) == (3, "web-1", "7", "boom", 9)
    assert one.failed
    assert not one.runs


@pytest.mark.parametrize(
    ("swarm", "what", "fix"),
    [
        ({"LocalNodeState": "inactive"}, "in no swarm", "docker swarm init"),
        ({"LocalNodeState": "locked"}, "is locked", "docker swarm unlock"),
        ({"LocalNodeState": "error", "Error": "no route"}, "cannot join", "log"),
        ({"LocalNodeState": "active", "ControlAvailable": False}, "is a worker", "[swarm] host"),
        (
            {"LocalNodeState": "active", "ControlAvailable": True, "Error": "does not have a leader"},
            "do not agree",
            "most managers",
        ),
    ],
)
def test_an_engine_that_takes_no_orders_is_told_with_its_own_remedy(
    swarm: dict[str, Any], what: str, fix: str
) -> None:
    (problem,) = swarm_problems(swarm)
    assert what in problem.what
    assert fix in problem.fix
    assert swarm.get("Error", "") in problem.why


def test_an_engine_that_manages_a_swarm_has_no_problem() -> None:
    assert swarm_problems({"LocalNodeState": "active", "ControlAvailable": True, "Error": ""}) == []
