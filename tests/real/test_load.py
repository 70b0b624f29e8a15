"""The proof's own proof: the load generator is silent on a healthy server and sees every loss."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.real.harness import Project
from tests.real.loadrun import lost
from tests.real.waiting import wait_for


@contextmanager
def bare_uvicorn(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(project.port)]
    server = subprocess.Popen(command, cwd=project.root, env=project.environ(), stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: project.get("/ready") == 200, "uvicorn to answer")
        yield server
    finally:
        server.kill()
        server.wait()


def test_a_steady_server_loses_nothing_and_every_answer_is_attributed(project: Project) -> None:
    project.version("7")
    with bare_uvicorn(project), project.load(new=3, keep=3) as load:
        load.wait_for_more(300)
        result = load.finish()
    assert not lost(result)
    assert set(result["releases"]) == {"7"}
    assert result["kinds"]["new"]["requests"] > 50
    assert result["kinds"]["keep"]["requests"] > 50
    # Every request of a new-connection client has its own, the keep-alive clients have one each.
    assert result["connections"]["opened"] == result["kinds"]["new"]["requests"] + 3


def test_a_killed_server_is_seen_as_cut_and_refused(project: Project) -> None:
    with bare_uvicorn(project) as server, project.load(new=3, keep=3, slow=1) as load:
        load.wait_for_more(100)
        server.kill()
        load.wait_for_more(20)
        result = load.finish()
    assert result["cut"] >= 1
    assert result["outcomes"]["refused"] >= 1
    slow = {failure["outcome"] for failure in result["failures"] if failure["kind"] == "slow"}
    assert "reset" in slow  # it was in flight, on a connection of its own


def test_errors_of_the_application_are_failures(project: Project) -> None:
    project.version("1", fail_every=5)
    with bare_uvicorn(project), project.load(new=1, keep=1) as load:
        load.wait_for_more(50)
        result = load.finish()
    assert result["outcomes"]["bad-status"] >= 5


@pytest.mark.slow
def test_idle_connections_cut_by_a_usual_reload_are_seen(project: Project) -> None:
    """uvicorn closes idle keep-alive connections when it stops a worker; naive clients notice."""
    command = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(project.port), "--workers", "2"]
    server = subprocess.Popen(command, cwd=project.root, env=project.environ(), stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: project.get("/ready") == 200, "uvicorn to answer")
        with project.load(new=6, keep=12, rate=100) as load:
            load.wait_for_more(50)
            before = load.pids
            for pid in before:
                psutil.Process(pid).terminate()
            wait_for(lambda: len(load.pids - before) >= 1, "new workers", evidence=lambda: load.pids)
            load.wait_for_more(50)
            assert load.finish()["cut"] >= 1
    finally:
        server.terminate()
        server.wait(30)
