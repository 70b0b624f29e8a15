"""Workers that descend from `oatie start` by forks alone carry nothing of it but what they need."""

from __future__ import annotations

import json
import sys

import psutil
import pytest

from tests.real.harness import Project

APPLICATION = """\
import json, multiprocessing, os, sys


def named(queue):
    queue.put(sys.argv)


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=named, args=(queue,))
    process.start()
    told = {
        "child": queue.get(timeout=120),
        "argv": sys.argv,
        "first": sys.path[0],
        "command": sorted(name for name in sys.modules if name.startswith("oatie_ops.cli")),
        "title": open("/proc/self/cmdline").read().rstrip("\\0") if os.path.exists("/proc") else "",
    }
    process.join()
    body = json.dumps(told).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.mark.slow
def test_a_worker_is_no_command_and_its_application_may_spawn_processes(project: Project) -> None:
    (project.root / "spawning.py").write_text(APPLICATION)
    project.configure(app={"run": "spawning:app", "ready": None, "ready_timeout": "60s", "workers": 1})
    running = project.start()
    answer = project.ask("/", timeout_seconds=150.0)
    assert answer is not None
    told = json.loads(answer[2])
    assert told["child"] == told["argv"] == ["spawning:app"]
    assert told["first"] == str(project.root)
    assert told["command"] == []
    if sys.platform == "linux":
        assert told["title"] == "oatie workers"
    running.signal(15)
    running.wait()
    project.assert_gone()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the environment is read from /proc")
def test_what_a_recovery_ladder_sets_is_not_in_the_environment_of_a_worker(project: Project) -> None:
    project.configure(app={"workers": 1})
    running = project.start(env={"OATIE_RECOVERY": "database"})
    (worker,) = project.workers()
    assert "OATIE_RECOVERY" in psutil.Process(running.pid).environ()
    assert "OATIE_RECOVERY" not in psutil.Process(worker["pid"]).environ()
    running.signal(15)
    running.wait()
    project.assert_gone()
