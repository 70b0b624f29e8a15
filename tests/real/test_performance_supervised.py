"""What a supervisor measures and remembers: over HTTP, on the command line, and after it has ended."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from oatie_ops.errors import OatieError
from oatie_ops.performance.samples import Reader, samples_path
from oatie_ops.supervisor.client import ControlClient
from tests.real.harness import Project
from tests.real.waiting import wait_for

PREFIX = "/api/performance"


def call(project: Project, path: str, method: str = "GET", body: Any = None) -> dict[str, Any] | None:
    """None while it is not there yet."""
    try:
        return ControlClient(project.state.control_socket).call(method, f"{PREFIX}/{path}", body)
    except OatieError:
        return None


def starts(project: Project) -> dict[str, Any] | None:
    stats = call(project, "startup/stats")
    return stats["releases"][0] if stats and stats["releases"] else None


@pytest.mark.slow
def test_a_supervisor_measures_and_its_history_outlives_it(project: Project) -> None:
    project.version("1")
    project.start()

    def measured() -> dict[str, Any] | None:
        usage = call(project, "resources/current")
        return usage if usage and usage["series"].get("worker.2.cpu_percent") is not None else None

    usage = wait_for(measured, "two looks at both workers")
    assert usage["memory_used_mb"] > 0
    assert usage["disk_io_write_mb"] is not None
    assert usage["thread_count"] >= 3
    assert usage["series"]["app.workers"] == 2
    assert usage["series"]["app.rss_bytes"] == pytest.approx(
        usage["series"]["worker.1.rss_bytes"] + usage["series"]["worker.2.rss_bytes"], rel=1e-4
    )

    def both_started() -> dict[str, Any] | None:
        found = starts(project)
        return found if found and found["count"] == 2 else None

    found = wait_for(both_started, "the record of both starts", evidence=lambda: starts(project))
    beside = ("first request", "dependencies reached")
    names = [phase["name"] for phase in found["phases"] if phase["name"] not in beside]
    assert names[-4:] == ["application load", "lifespan", "ready", "accept"]
    assert "spawn" in names
    assert all(phase["median_seconds"] >= 0 for phase in found["phases"])

    assert project.get("/") == 200

    def answered() -> bool:
        stats = starts(project)
        return stats is not None and stats["first_request_seconds"] is not None

    wait_for(answered, "the first answer to a user in the record of a start")

    # A worker that dies while it is looked at leaves the looking alone.
    victim = next(worker for worker in project.workers() if worker["id"] == 1)
    os.kill(victim["pid"], signal.SIGKILL)

    def replaced() -> bool:
        stats = starts(project)
        return stats is not None and stats["count"] == 3

    wait_for(replaced, "the record of the third start", evidence=lambda: starts(project))

    def later() -> bool:
        found = measured()
        return found is not None and found["at"] >= usage["at"] + 4

    wait_for(later, "looks at the new worker", evidence=measured)

    resources = project.oatie("profile", "--resources", "--json")
    assert resources.code in (0, 3), resources
    assert resources.json["current"]["series"]["app.workers"] == 2
    assert resources.json["trends"]["buckets"] == 60
    shown = project.oatie("profile", "--resources").stdout
    assert "measuring costs" in shown
    live = project.oatie("profile", "--overview", "--json")
    assert {part["name"] for part in live.json["parts"]} >= {"cpu", "memory", "disk", "startup", "scaling"}

    project.oatie("stop").expect(0)
    after = project.oatie("profile", "--overview", "--json")
    assert after.json["startup"]["releases"][0]["count"] == 3
    assert after.json["resources"] is None
    with Reader(samples_path(project.state.home)) as reader:
        seconds = reader.history("host.cpu_percent", 600, step_seconds=1)
    assert len(seconds) - seconds.gaps >= 2


@pytest.mark.slow
def test_profiles_over_http_need_a_token_and_show_what_was_waited_for(project: Project) -> None:
    project.version("1")
    project.start()
    wait_for(lambda: call(project, "resources/current"), "the ops API")
    status, _, _ = project.ask(f"{PREFIX}/resources/current", port=project.ops_port) or (0, {}, b"")
    assert status == 200
    begun = call(project, "startup/profile", "POST", {"name": "my_service"})
    assert begun is not None
    step = {"name": "connected", "dependency": "database"}
    assert call(project, f"startup/profile/{begun['id']}/checkpoint", "POST", step)
    finished = call(project, f"startup/profile/{begun['id']}/finish", "POST")
    assert finished is not None
    assert finished["bottleneck"] == "connected"
    stats = call(project, "startup/stats")
    assert stats is not None
    assert any(found["release"] == "my_service" for found in stats["releases"])
    assert call(project, f"startup/profile/{begun['id']}/finish", "POST") is None
