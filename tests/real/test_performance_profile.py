"""``oatie profile`` on real applications, in CI's manner and in an operator's."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from oatie_ops.performance.samples import samples_path
from oatie_ops.store.samplefile import SampleFile
from oatie_ops.store.starts import Starts
from tests.real.harness import Completed, Project, ProjectMaker
from tests.real.waiting import wait_for

SLEEPY = """
import asyncio
import socket
import time

import unittest.mock

time.sleep(0.4)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=5).close()
        except OSError:
            pass
        await asyncio.sleep(0.4)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def phases(done: Completed) -> dict[str, float]:
    return {phase["name"]: phase["seconds"] for phase in done.json["phases"]}


def test_a_profile_says_where_the_time_goes_and_keeps_a_budget(project: Project, tmp_path: Path) -> None:
    (project.root / "sleepy.py").write_text(SLEEPY)
    echo = {"check": {"type": "tcp", "port": 9}}
    project.configure(app={"run": "sleepy:app", "ready": None}, services={"echo": echo})
    page, scope = tmp_path / "start.html", tmp_path / "start.json"
    done = project.oatie(
        "profile", "--runs", "2", "--json", "--budget", "100ms", f"--html={page}", f"--speedscope={scope}"
    ).expect(1)
    found = done.json
    assert (found["schema"], found["runs"], found["within_budget"]) == ("oatie.profile/v1", 2, False)
    assert phases(done)["application load"] >= 0.4
    assert phases(done)["lifespan"] >= 0.4
    assert found["seconds"]["median"] >= 0.8
    waits = {wait["where"].partition(" ")[0]: wait["seconds"] for wait in found["waits"]}
    assert waits["sleepy.py:8"] >= 0.2
    assert max(seconds for where, seconds in waits.items() if where != "sleepy.py:8") >= 0.2
    assert [one["service"] for one in found["dependencies"]] == ["echo"]
    assert any(cost["package"] == "unittest" for cost in found["imports"]["packages"])
    assert any(one["kind"] == "wait" for one in found["recommendations"])
    assert "<svg" in page.read_text()
    assert len(json.loads(scope.read_text())["profiles"]) >= 2
    assert project.processes() == [], project.describe()
    assert not project.state.home.exists() or not list(project.state.run.iterdir())


def test_an_application_that_cannot_start_is_explained(project: Project) -> None:
    (project.root / "broken.py").write_text("import a_module_that_is_not_there\n")
    project.configure(app={"run": "broken:app"})
    done = project.oatie("profile", "--runs", "1").expect(1)
    assert "a_module_that_is_not_there" in done.stderr
    (project.root / "broken.py").write_text("raise RuntimeError('not today')\n")
    done = project.oatie("profile", "--runs", "1").expect(1)
    assert "Traceback" in done.stderr and "import time:" not in done.stderr
    assert project.processes() == [], project.describe()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_it_and_all_that_it_started(
    project: Project, number: signal.Signals, code: int
) -> None:
    project.version("1")
    running = project.background("profile", "--runs", "100")
    wait_for(lambda: "run 2 of 100" in running.so_far().stderr, "the second run", evidence=running.so_far)
    running.signal(number)
    done = running.wait()
    assert done.code == code
    assert "Traceback" not in done.said
    wait_for(lambda: not project.processes(), "every process to end", evidence=project.describe)


@pytest.mark.slow
def test_a_program_is_profiled_from_outside(make_project: ProjectMaker) -> None:
    project = make_project("program.py")
    project.configure(
        app={"run": None, "command": [sys.executable, "program.py"], "ready": "/ready", "workers": 1}
    )
    project.version("1", boot_seconds=0.5)
    done = project.oatie("profile", "--runs", "2", "--json").expect(0)
    assert list(phases(done)) == ["listening", "ready", "accept"]
    assert phases(done)["listening"] >= 0.5
    assert done.json["imports"] is None
    assert project.processes() == [], project.describe()


@pytest.mark.slow
def test_a_slower_release_is_suspected_by_history_and_confirmed_by_pairs(project: Project) -> None:
    (project.root / "main.py").write_text(SLEEPY.replace("0.4", "0.01"))
    project.configure(app={"run": "main:app", "ready": None, "workers": 1})
    project.deploy().expect(0)
    kept = project.oatie("profile", "--runs", "1", "--json").expect(0)
    assert kept.json["release"] == "1"
    # A history that no machine can keep up with, whatever else it does at this moment.
    file = SampleFile(samples_path(project.state.home))
    for number in range(12):
        Starts(file).add(1.0, "profile", "1", 0.001 + number / 1e6, {"seconds": 0.001})
    file.close()
    (project.root / "main.py").write_text(SLEEPY.replace("0.4", "0.6"))
    suspected = project.oatie("profile", "--checkout", "--runs", "5", "--compare", "1", "--json").expect(3)
    assert suspected.json["comparison"]["verdict"] == "suspected slower"
    # So many that a few pairs may be spoilt by what else the machine does.
    confirmed = project.oatie(
        "profile", "--checkout", "--runs", "12", "--compare", "1", "--verify", "--json"
    ).expect(1)
    comparison = confirmed.json["comparison"]
    assert (comparison["verdict"], comparison["n"]) == ("confirmed slower", 12)
    assert comparison["p_value"] < 0.01
    assert comparison["ratio"] > 1.04
    assert project.get("/") == 200, "what serves was not disturbed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--verify"], "--compare"),
        (["--watch"], "--resources"),
        (["--overview", "--runs", "3"], "--overview"),
        (["--resources", "--overview"], "two pages"),
        (["main"], "module:attribute"),
        (["--budget", "soon"], "duration"),
        (["--compare", "7"], "no release"),
        (["--hours", "3"], "--resources"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(
    project: Project, arguments: list[str], said: str
) -> None:
    done = project.oatie("profile", *arguments).expect(2)
    assert said in done.stderr


LIBRARY = """
import time
from oatie_ops.performance import resource_monitor, startup_optimizer
profile_id = startup_optimizer.start_profiling("my_service")
startup_optimizer.add_checkpoint(profile_id, "initialized")
startup_optimizer.add_checkpoint(profile_id, "database_connected", dependency="database")
profile = startup_optimizer.finish_profiling(profile_id)
assert [c.name for c in profile.checkpoints] == ["initialized", "database_connected"]
resource_monitor.start_monitoring()
resource_monitor.start_monitoring()
deadline = time.monotonic() + 30
while not resource_monitor.get_current_usage().series.get("supervisor.cpu_percent") is not None:
    assert time.monotonic() < deadline
    time.sleep(0.1)
usage = resource_monitor.get_current_usage()
print(f"CPU: {usage.cpu_percent}%, Memory: {usage.memory_percent}%", usage.thread_count)
assert usage.memory_percent > 0 and usage.thread_count >= 2
trends = resource_monitor.get_usage_trends(hours=2)
assert trends.hours == 2
resource_monitor.stop_monitoring()
resource_monitor.stop_monitoring()
assert not resource_monitor.monitoring
import oatie_ops
assert oatie_ops.resource_monitor is resource_monitor
"""


def test_the_library_works_as_the_manual_says_and_leaves_nothing_behind(tmp_path: Path) -> None:
    script = tmp_path / "use.py"
    script.write_text(LIBRARY)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CPU:" in done.stdout
    assert [entry.name for entry in tmp_path.iterdir()] == ["use.py"]
