"""Breakers and errors of real workers under a real supervisor, as the ops API tells them."""

from __future__ import annotations

from typing import Any

from oatie_ops.errors import OatieError
from oatie_ops.supervisor.client import ControlClient
from tests.real.harness import Project, ProjectMaker
from tests.real.waiting import wait_for

PASSWORD = "correct-horse-battery-staple"
SUMMARY, SERVICES = "/api/performance/errors/summary", "/api/performance/errors/services"


def ops(project: Project, path: str) -> dict[str, Any]:
    """As the owner: whoever only reads is not shown the sample of an error."""

    def answer() -> dict[str, Any] | None:
        try:
            return ControlClient(project.state.control_socket).call("GET", path)
        except OatieError:
            return None

    return wait_for(answer, f"the ops API to answer {path}")


def groups(project: Project) -> dict[tuple[str, str], dict[str, Any]]:
    return {(group["service"], group["kind"]): group for group in ops(project, SUMMARY)["groups"]}


def body(project: Project, path: str) -> str:
    answer = project.ask(path)
    return "" if answer is None else answer[2].decode()


def test_workers_share_a_declared_breaker_and_tell_their_errors(make_project: ProjectMaker) -> None:
    project = make_project("shaky.py")
    breaker = {"failure_threshold": 2, "recovery_timeout": "10m", "timeout": "5s"}
    project.configure(
        app={"run": "shaky:app", "ready": "/"},
        **{
            "services.database": {"breaker": breaker},
            "app.env": {"DATABASE_PASSWORD": "${DATABASE_PASSWORD}"},
        },
    )
    secret = {"DATABASE_PASSWORD": PASSWORD}
    project.start(env=secret)
    assert body(project, "/query") == "rows"
    (project.state.data / "broken").touch()
    wait_for(lambda: body(project, "/query") == "none" and body(project, "/state") == "open", "it to open")
    # Whatever worker answers now: all reject, although each had few failures of its own.
    assert {body(project, "/state") for _ in range(20)} == {"open"}
    project.get("/raise")
    wanted = {("database", "ConnectionError"), ("database", "CircuitOpened"), ("app", "ValueError")}
    found = wait_for(
        lambda: known if wanted <= (known := groups(project)).keys() else None,
        "the errors to be recorded",
        evidence=lambda: groups(project),
    )
    refused = found["database", "ConnectionError"]
    assert refused["count"] >= 2
    assert (refused["recovery"], refused["outcome"], refused["severity"]) == ("fallback", "served", "warning")
    assert refused["culprit"] == "shaky:query"
    assert "GET /raise" in found["app", "ValueError"]["sample"]
    service = ops(project, SERVICES)["services"]["database"]
    assert (service["status"], service["breaker"]["state"]) == ("unhealthy", "open")
    assert 0 < service["breaker"]["retry_after"] <= 600
    project.get("/die")
    ended = wait_for(
        lambda: groups(project).get(("app", "WorkerEnded")), "the worker's end to be recorded", seconds=30
    )
    assert ended["severity"] == "critical"
    assert "SIGKILL" in ended["message"]
    project.oatie("stop", env=secret).expect(0)
    stored = b"".join(path.read_bytes() for path in project.state.home.glob("state.db*"))
    assert b"ConnectionError" in stored
    assert PASSWORD.encode() not in stored
    project.assert_gone()
