"""`oatie scale workers=N` on real processes: nothing is lost, and the number is remembered as promised."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

import pytest

from oatie_ops.performance.samples import Samples, samples_path
from oatie_ops.scaling.advise_cache import FEWEST_WATCHED
from tests.real.harness import Project
from tests.real.loadrun import lost
from tests.real.waiting import wait_for


def serving(project: Project) -> int:
    return [worker["state"] for worker in project.workers()].count("serving")


@pytest.mark.slow
def test_growing_and_shrinking_under_load_loses_nothing(project: Project) -> None:
    project.version("1")
    project.start()
    with project.load() as run:
        for number in (5, 1, 3):
            done = project.oatie("scale", f"workers={number}", "--json").expect(0)
            assert done.events[-1]["status"] == "scaled"
            assert done.events[-1]["workers"] == number
            wait_for(lambda number=number: serving(project) == number, f"{number} workers")  # type: ignore[misc]
        result = run.finish()
    assert not lost(result), lost(result)


@pytest.mark.slow
def test_the_number_holds_over_a_reload_and_a_restart_until_the_configuration_changes(
    project: Project,
) -> None:
    project.version("1")
    project.start()
    project.oatie("scale", "workers=3").expect(0)
    project.oatie("reload").expect(0)
    assert serving(project) == 3
    project.oatie("stop").expect(0)
    project.start()
    wait_for(lambda: serving(project) == 3, "the number of before")
    project.oatie("stop").expect(0)
    project.configure(app={"workers": 1})
    project.start()
    assert serving(project) == 1
    assert project.status()["wanted_workers"] == 1


def test_back_to_what_is_declared(project: Project) -> None:
    project.version("1")
    project.start()
    project.oatie("scale", "workers=3").expect(0)
    project.oatie("scale", "workers=config").expect(0)
    assert project.status()["wanted_workers"] == 2
    assert not (project.state.home / "scale.json").exists()


@pytest.mark.slow
def test_workers_that_do_not_become_ready_leave_what_there_was(project: Project) -> None:
    project.version("1")
    project.start()
    project.version("1", ready_status=503)
    project.configure(app={"ready_timeout": "2s"})
    refused = project.oatie("scale", "workers=3").expect(1)
    assert "2 workers serve on" in refused.said
    assert serving(project) == 2
    assert project.status()["wanted_workers"] == 2


def test_bounds_and_nonsense_are_refused(project: Project) -> None:
    project.configure(scale={"max": 3})
    project.version("1")
    project.start()
    over = project.oatie("scale", "workers=4").expect(2)
    assert "max = 3" in over.said
    assert "did you mean workers" in project.oatie("scale", "worker=2").expect(2).said
    assert "whole number" in project.oatie("scale", "workers=many").expect(2).said
    assert "replicas" in project.oatie("scale", "replicas=2").expect(2).said


def test_without_a_supervisor_it_says_so(project: Project) -> None:
    project.version("1")
    assert "no supervisor is running" in project.oatie("scale", "workers=2").expect(1).said


def test_advice_refuses_over_http_and_on_the_command_line_alike(project: Project) -> None:
    project.version("1")
    project.start()
    told = project.oatie("scale", "--json").expect(3).json
    assert told["recommendations"] == []
    reasons = {one["type"]: one["needs"] for one in told["unknown"]}
    assert "of load above 1 rps" in reasons["workers"]
    applied = project.oatie("scale", "--apply").expect(3)
    assert "of load above 1 rps" in applied.said
    json.dumps(told)


@pytest.mark.slow
def test_the_supervisor_follows_the_load_within_its_bounds(project: Project) -> None:
    project.version("1")
    assert "needs a bound" in project.oatie("scale", "--auto").expect(2).said
    project.state.ensure()
    write_an_hour_of_load(project.state.home)
    project.start()
    status = project.oatie("scale", "--auto", "--max", "4", "--json").expect(0).json
    assert (status["auto"], status["min"], status["max"]) == (True, 1, 4)
    wait_for(lambda: project.status()["wanted_workers"] == 4, "as many as the bound allows")
    wait_for(lambda: serving(project) == 4, "them to serve")
    assert "following the load with 1 to 4 workers" in project.oatie("scale").said
    project.oatie("scale", "workers=2").expect(0)
    assert '"auto": false' in (project.state.home / "scale.json").read_text()


def write_an_hour_of_load(home: Path) -> None:
    """70 minutes until now that keep six workers busy, each doing one request after the other."""
    values = {
        "app.arrivals_per_s": 100.0,
        "app.completions_per_s": 100.0,
        "app.concurrency": 5.0,
        "app.in_flight": 2.0,
        "app.service_seconds": 0.05,
        "app.cpu_cores": 0.5,
        "app.rss_bytes": 1e8,
        "app.workers": 2.0,
    }
    samples = Samples(samples_path(home))
    now = int(time.time())
    for second in range(now - 70 * 60, now, 2):
        samples.add(second, values)
    samples.flush()
    samples.close()


SLOW_TO_ANSWER = """
import asyncio


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await asyncio.sleep(0.002)
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    await send(start)
    await send({"type": "http.response.body", "body": b"ok"})
"""


def test_a_cache_is_advised_on_what_was_really_asked_again(project: Project) -> None:
    (project.root / "same.py").write_text(SLOW_TO_ANSWER)
    project.configure(app={"run": "same:app", "ready": None, "workers": 1})
    project.start()
    connection = http.client.HTTPConnection("127.0.0.1", project.port, timeout=30)
    for number in range(FEWEST_WATCHED + 20):
        connection.request("GET", f"/reports/{number % 4}")
        connection.getresponse().read()
    connection.close()
    wait_for(lambda: counted(project) >= FEWEST_WATCHED, "the worker to tell what it counted")
    found = {one["type"]: one for one in project.oatie("scale", "--json").expect(0).json["recommendations"]}
    assert found["cache"]["value"] in {1.0, 10.0, 60.0}, found["cache"]
    numbers = found["cache"]["evidence"]["numbers"]
    assert numbers["get_requests_watched"] >= FEWEST_WATCHED
    assert numbers["hit_share_60s"] > 0.5
    assert numbers["stale_share_of_hits_60s"] == 0


def counted(project: Project) -> int:
    return sum(int(worker["requests"]) for worker in project.workers())
