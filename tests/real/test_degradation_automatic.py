"""What degrades by itself in a real supervisor: a failing dependency, the application, its load."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.real.degrading import degrade
from tests.real.harness import Project
from tests.real.waiting import free_port, wait_for

CHECK = {"type": "tcp", "interval": "200ms", "timeout": "2s", "rise": 1, "fall": 1}


def listed(project: Project) -> dict[str, Any]:
    done = degrade(project, "--list", "--json")
    status: dict[str, Any] = done.json
    return status


def header(project: Project, path: str) -> str | None:
    answer = project.ask(path)
    return answer[1].get("x-degraded") if answer else None


def test_a_failing_dependency_degrades_until_it_is_back_and_never_against_an_operator(
    project: Project,
) -> None:
    port = free_port()
    database = socket.create_server(("127.0.0.1", port))
    project.configure(
        **{
            "services.database": {"check": {**CHECK, "port": port}},
            "services.reports": {"routes": ["/work*"], "degrade": {"auto": ["database"]}},
        }
    )
    project.start()
    assert header(project, "/work") is None
    database.close()
    wait_for(lambda: header(project, "/work") == "reports", "reports to be degraded by itself")
    told = listed(project)["services"]["reports"]
    assert told["owner"] == "breaker" and "database is failing" in told["reason"]
    # An operator's word goes before it, and it is not decided again while its cause lasts.
    said = degrade(project, "reports", "--restore").stdout
    assert "overruled until it is over" in said
    project.oatie("reload").expect(0)
    assert header(project, "/work") is None
    database = socket.create_server(("127.0.0.1", port))
    wait_for(lambda: not listed(project)["services"]["reports"]["decisions"], "the cause to be over")
    database.close()
    wait_for(lambda: header(project, "/work") == "reports", "reports to be degraded again")
    degrade(project, "reports", "--level", "0", "--reason", "needed", "--for", "1h")
    assert header(project, "/work") is None
    database = socket.create_server(("127.0.0.1", port))
    wait_for(
        lambda: (
            [each["owner"] for each in listed(project)["services"]["reports"]["decisions"]] == ["operator"]
        ),
        "the automatic decision to end",
    )
    database.close()


LIBRARY = """
import json
from service import app as bare
from oatie_ops import degradation_manager

degradation_manager.register_degradation_rule(
    "search", {"routes": ["/work*"], "degraded_responses": {"list": {"found": []}}}
)

async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"].startswith("/switch"):
        if scope["path"] == "/switch/on":
            degradation_manager.activate_degradation("search", "asked for it", for_seconds=600)
        if scope["path"] == "/switch/off":
            degradation_manager.deactivate_degradation("search")
        told = {"status": degradation_manager.get_degradation_status(),
                "list": degradation_manager.get_degraded_response("search", "list")}
        body = json.dumps(told).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
        return
    await bare(scope, receive, send)
"""


def test_one_worker_that_degrades_a_service_degrades_it_in_all(project: Project) -> None:
    (Path(project.root) / "library.py").write_text(LIBRARY)
    project.configure(app={"run": "library:app", "workers": 3})
    project.start()

    def ask(path: str) -> dict[str, Any]:
        answer = project.ask(path)
        assert answer is not None
        told: dict[str, Any] = json.loads(answer[2])
        return told

    assert ask("/switch")["list"] is None
    assert ask("/switch/on")["list"] == {"found": []}  # in the worker that was asked, at once

    def everywhere(wanted: bool) -> bool:
        return all((header(project, "/work") == "search") is wanted for _ in range(12))

    wait_for(lambda: everywhere(True), "every worker to obey")
    told = listed(project)["services"]["search"]
    assert (told["owner"], told["reason"]) == ("application", "asked for it")
    ask("/switch/off")
    wait_for(lambda: everywhere(False), "every worker to be restored")
    # The application has registered it, so an operator can, too.
    degrade(project, "search", "--reason", "by hand")
    assert everywhere(True)


@pytest.mark.slow
def test_overload_sheds_the_lowest_priority_first_and_gives_it_back(project: Project) -> None:
    project.configure(
        app={"workers": 1},
        switches={"overload_in_flight": 5, "overload_lag": "60s"},
        **{
            "services.export": {"routes": ["/export*"], "degrade": {"auto": ["load"], "priority": 9}},
            "services.work": {"routes": ["/work*"], "degrade": {"auto": ["load"], "priority": 2}},
        },
    )
    project.start()
    with project.load("/slow?seconds=1", new=0, keep=8):
        wait_for(lambda: header(project, "/export") == "export", "what matters least to be shed")
        told = listed(project)["services"]["export"]
        assert told["owner"] == "load" and "in flight" in told["reason"]
    wait_for(lambda: listed(project)["degraded_services"] == [], "everything to be given back", seconds=90)
    assert header(project, "/export") is None


def test_the_demo_shows_it(project: Project) -> None:
    (project.root / "oatie.toml").unlink()
    for source in project.root.glob("*.py"):
        source.unlink()
    project.oatie("start", "--daemon", "--port", str(project.port)).expect(0)
    try:
        assert header(project, "/api/reports") is None
        wait_for(lambda: "reports" in listed(project)["services"], "the demo to tell of its reports")
        degrade(project, "reports", "--reason", "try")
        answer = project.ask("/api/reports")
        assert answer is not None and json.loads(answer[2])["message"] == "Report service degraded"
        assert project.get("/api/reports/1") == 503 and project.get("/ready") == 200
        project.oatie("health", "reports").expect(3)
    finally:
        project.oatie("stop").expect(0)
