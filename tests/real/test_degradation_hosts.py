"""Two supervisors as two hosts, and between them a real server that is killed, paused and back."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.real.databases import Postgres, Redis
from tests.real.degrading import degrade
from tests.real.harness import Project, ProjectMaker
from tests.real.waiting import free_port, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[Redis | Postgres]:
    made: Redis | Postgres = Redis() if request.param == "redis" else Postgres()
    with made:
        # It must come back on the same port, so on one that no outgoing connection can get meanwhile.
        made.port = free_port()
        made.start() if isinstance(made, Redis) else made.make()
        yield made


@pytest.fixture
def hosts(make_project: ProjectMaker, server: Redis | Postgres) -> tuple[Project, Project]:
    projects = make_project(), make_project()
    for project in projects:
        project.configure(switches={"share": "${SHARE_URL}"}, **{"services.reports": {"routes": ["/work*"]}})
        project.start(env={"SHARE_URL": server.url})
    return projects


def status(project: Project) -> dict[str, Any]:
    told: dict[str, Any] = degrade(project, "--list", "--json").json
    return told


def degraded(project: Project) -> bool:
    answer = project.ask("/work")
    return answer is not None and "x-degraded" in answer[1]


def in_step(hosts: tuple[Project, Project]) -> None:
    for project in hosts:
        wait_for(lambda project=project: status(project)["stale"] is None, "the hosts to be in step")


def stale(hosts: tuple[Project, Project]) -> None:
    for project in hosts:
        wait_for(lambda project=project: status(project)["stale"], "staleness to be marked")


def soon(hosts: tuple[Project, Project], wanted: bool) -> None:
    for project in hosts:
        wait_for(
            lambda project=project: degraded(project) is wanted,
            f"degraded to be {wanted} on both hosts",
            evidence=lambda: [status(each) for each in hosts],
        )


def test_decisions_cross_hosts_and_survive_a_server_that_dies_hangs_and_comes_back(
    hosts: tuple[Project, Project], server: Redis | Postgres
) -> None:
    one, other = hosts
    in_step(hosts)
    degrade(one, "reports", "--reason", "everywhere", "--for", "1h")
    soon(hosts, True)
    decision = status(other)["services"]["reports"]["decisions"][0]
    assert decision["host"] and decision["reason"] == "everywhere"
    assert 3000 < decision["left_seconds"] <= 3600
    degrade(other, "reports", "--restore")
    soon(hosts, False)

    # Paused: the last known stays in force, is marked, and nobody's request waits.
    degrade(one, "reports", "--reason", "before the pause")
    soon(hosts, True)
    server.signal(signal.SIGSTOP)
    try:
        stale(hosts)
        assert all(degraded(project) for project in hosts)
        assert all(_answers_quickly(project) for project in hosts)
        done = degrade(other, "reports", "--restore", "--json").json
        assert done["stale"] and done["obeying"] == done["workers"]
        assert not degraded(other) and degraded(one)
    finally:
        server.signal(signal.SIGCONT)
    in_step(hosts)
    soon(hosts, False)

    # Killed: what is decided meanwhile is told when it is back.
    server.kill()
    stale(hosts)
    degrade(other, "reports", "--reason", "while it was gone")
    assert degraded(other) and not degraded(one)
    server.start()
    in_step(hosts)
    soon(hosts, True)
    assert status(one)["services"]["reports"]["reason"] == "while it was gone"


def _answers_quickly(project: Project) -> bool:
    """Far below the second that a wait for the server would take; the best of some, for a busy machine."""

    def once() -> float:
        began = time.perf_counter()
        assert project.ask("/") is not None
        return time.perf_counter() - began

    return min(once() for _ in range(20)) < 0.5


def test_a_share_that_was_never_there_keeps_nobody_from_serving(project: Project) -> None:
    project.configure(
        switches={"share": "redis://127.0.0.1:1/0"}, **{"services.reports": {"routes": ["/work*"]}}
    )
    project.start()
    wait_for(lambda: "Redis" in (status(project)["stale"] or ""), "staleness to be marked")
    done = degrade(project, "reports", "--reason", "alone")
    assert "other hosts do not hear of it yet" in done.stderr
    assert degraded(project)
