"""Ladders in a running supervisor: who is repaired when, what is told, and what a kill -9 leaves."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from oatie_ops.errors import OatieError
from oatie_ops.recovery.rungs.command import MARKER
from oatie_ops.store import Store
from oatie_ops.supervisor.client import ControlClient
from tests.real.harness import Project
from tests.real.receivers import Webhook
from tests.real.waiting import free_port, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FAST = {"interval": "200ms", "rise": 2, "fall": 2}


def file_check(name: str) -> dict[str, Any]:
    """Passes as long as the file is there."""
    return {"type": "command", "run": ["test", "-e", name], **FAST}


def touch(name: str, **options: Any) -> dict[str, Any]:
    return {"run": ["touch", name], "settle": "0s", **options}


def history(project: Project, *service: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = project.oatie("recover", "--history", "--json", *service).json["recoveries"]
    return found


def ladder(project: Project, service: str) -> dict[str, Any]:
    ladders = project.oatie("recover", "--list", "--json").json["ladders"]
    return next(known for known in ladders if known["service"] == service)


def status(project: Project, service: str) -> dict[str, Any]:
    found: dict[str, Any] = project.oatie("health", "--json").json["services"][service]
    return found


def ended(project: Project, service: str, outcome: str) -> dict[str, Any]:
    """The newest recovery of a service, once it ended so."""

    def newest() -> dict[str, Any] | None:
        found = history(project, service)
        return found[0] if found and found[0]["outcome"] == outcome else None

    return wait_for(
        newest, f"{service} to be {outcome}", seconds=60.0, evidence=lambda: history(project, service)
    )


@pytest.fixture
def receiver() -> Iterator[Webhook]:
    made = Webhook()
    yield made
    made.close()


def test_a_parent_is_repaired_before_what_needs_it_and_a_feature_is_degraded_meanwhile(
    project: Project,
) -> None:
    """The first rung exits with 0 and repairs nothing: what counts is the check."""
    for name in ("db-up", "api-up"):
        (project.root / name).touch()
    project.configure(
        services={
            "db": {
                "check": file_check("db-up"),
                "recover": [
                    {"run": ["true"], "settle": "0s"},
                    {"degrade": "reports"},
                    touch("db-up", settle="2s"),
                ],
            },
            "api": {"check": file_check("api-up"), "needs": ["db"], "recover": [touch("api-up")]},
            "reports": {"routes": ["/reports*"], "degrade": {}},
        }
    )
    project.start()
    wait_for(lambda: status(project, "api")["status"] == "pass", "all to be well")
    (project.root / "db-up").unlink()
    client = ControlClient(project.state.control_socket)

    def found_down() -> bool:
        return bool(client.call("GET", "/health/dashboard")["services"]["db"]["status"] == "fail")

    wait_for(found_down, "db to be found failing")
    (project.root / "api-up").unlink()

    def degraded() -> dict[str, Any] | None:
        told = client.call("GET", "/api/performance/errors/degradation/status")
        known: dict[str, Any] = told["services"].get("reports", {})
        return known if known.get("degraded") else None

    assert wait_for(degraded, "reports to be degraded")["reason"].startswith("db fails")
    parent, child = ended(project, "db", "proven"), ended(project, "api", "proven")
    assert [(t["rung"], t["ok"], t["state"]) for t in parent["tries"]] == [
        (1, True, "refuted"),
        (2, True, "refuted"),
        (3, True, "proven"),
    ]
    assert [t["state"] for t in child["tries"]] == ["proven"]
    assert child["tries"][0]["began_at"] > parent["ended_at"]
    wait_for(lambda: not degraded(), "reports to be given back")
    events = [e.message for e in _events(project) if e.kind == "recovery"]
    assert any(
        "db is well again after touch" in text or "db is well again after run" in text for text in events
    )


def _events(project: Project) -> Any:
    with Store.open(project.state.database) as store:
        return store.events.recent(200)


def test_giving_up_is_loud_and_an_operator_can_always_try_again(project: Project, receiver: Webhook) -> None:
    port = free_port()
    project.configure(
        services={
            "queue": {
                "check": {"type": "tcp", "port": port, **FAST},
                "recover": [{"run": ["false"], "settle": "0s", "max": 2}],
            }
        },
        # So long that only the recovery can be the one who tells.
        alerts={"ops": {"webhook": receiver.url, "delay": "1h"}},
    )
    project.start()
    entry = ended(project, "queue", "gave_up")
    assert [(t["rung"], t["attempt"], t["ok"]) for t in entry["tries"]] == [(1, 1, False), (1, 2, False)]
    wait_for(lambda: receiver.words == ["firing queue"], "the alert", evidence=lambda: receiver.words)
    assert "recovery gave up" in receiver.bodies[0]["alerts"][0]["output"]
    assert ladder(project, "queue")["state"] == "gave_up"
    assert ladder(project, "queue")["next_try_at"]

    in_vain = project.oatie("recover", "queue", "--reason", "let me see").expect(1)
    assert "false exited with 1" in in_vain.stderr
    assert "✗ queue was not recovered by 2 tries" in in_vain.stdout
    with socket.create_server(("127.0.0.1", port)):
        helped = project.oatie("recover", "queue", "--json").expect(0)
        assert helped.json["status"] == "proven", "the command failed, the check passes"
        wait_for(lambda: receiver.words[-1:] == ["resolved queue"], "the end of the alert")
        known = ladder(project, "queue")
        assert (known["state"], known["attempts"]) == ("well", 0), "the budget is whole again"
    assert "did you mean queue" in project.oatie("recover", "quee").expect(2).stderr
    assert "let me see" in [entry["reason"] for entry in history(project, "queue")]


def test_maintenance_keeps_the_ladder_away_but_no_operator(project: Project) -> None:
    project.configure(services={"db": {"check": file_check("db-up"), "recover": [touch("db-up")]}})
    (project.root / "db-up").touch()
    project.start()
    project.oatie("health", "db", "--maintenance", "1h").expect(0)
    (project.root / "db-up").unlink()

    def failing_long() -> bool:
        found = status(project, "db")
        return found["status"] == "fail" and found["for_seconds"] > 5.0

    wait_for(failing_long, "db to fail for longer than a recovery waits")
    assert history(project, "db") == []
    project.oatie("recover", "db").expect(0)
    assert history(project, "db")[0]["trigger"] == "manual"


def test_where_most_services_fail_together_nothing_is_restarted(project: Project) -> None:
    names = ["a", "b", "c", "d"]
    for name in names:
        (project.root / name).touch()
    services = {name: {"check": file_check(name), "recover": [touch(name)]} for name in names}
    project.configure(services=services)
    project.start()
    wait_for(lambda: status(project, "d")["status"] == "pass", "all to be well")
    # Maintenance makes them fail at the same moment as far as recovery is concerned.
    project.oatie("health", "--maintenance", "1h").expect(0)
    for name in names:
        (project.root / name).unlink()
    wait_for(lambda: all(status(project, name)["status"] == "fail" for name in names), "all to fail")
    project.oatie("health", "--maintenance", "off").expect(0)

    def braked() -> bool:
        answer = project.ask("/health/metrics", port=project.ops_port)
        return answer is not None and b"oatie_recovery_braked 1" in answer[2]

    wait_for(braked, "the brake")
    until = status(project, "a")["for_seconds"] + 6.0
    wait_for(lambda: status(project, "a")["for_seconds"] > until, "longer than a recovery usually waits")
    assert history(project) == []
    assert any("fail together" in event.message for event in _events(project))
    project.oatie("recover", "a").expect(0)


def test_a_killed_supervisor_takes_its_rung_along_and_the_next_one_goes_on(project: Project) -> None:
    script = project.root / "repair.sh"
    script.write_text(
        "#!/bin/sh\necho $$ >> tries\n[ -e allowed ] && exec touch db-up\n"
        "trap '' TERM\nwhile :; do sleep 1; done\n"
    )
    script.chmod(0o755)
    rung = {"run": ["./repair.sh"], "settle": "0s", "max": 3}
    project.configure(services={"db": {"check": file_check("db-up"), "recover": [rung]}})
    running = project.start()
    tries = project.root / "tries"
    pid = int(wait_for(lambda: tries.exists() and tries.read_text().strip(), "the rung to begin"))
    running.signal(signal.SIGKILL)
    wait_for(lambda: _gone(pid), "the end of the command of the killed supervisor")
    running.wait()

    (project.root / "allowed").touch()
    project.start()
    ended(project, "db", "proven")
    after, before = history(project, "db")
    assert before["outcome"] == "interrupted"
    assert [t["state"] for t in before["tries"]] == ["interrupted"]
    assert [(t["attempt"], t["state"]) for t in after["tries"]] == [(2, "proven")], "the first try counts"
    assert len(tries.read_text().split()) == 2


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_restart_of_a_service_is_its_rung_and_says_where_none_is_declared(project: Project) -> None:
    project.configure(
        services={
            "feature": {
                "check": file_check("up"),
                "recover": [touch("up"), {"restart": "worker", "settle": "0s"}],
            },
            "bare": {"check": file_check("VERSION")},
        }
    )
    project.version("1")
    (project.root / "up").touch()
    project.start()
    wait_for(lambda: status(project, "feature")["status"] == "pass", "the feature to be well")
    before = {worker["pid"] for worker in project.workers()}

    client = ControlClient(project.state.control_socket)
    operation = client.call("POST", "/health/services/feature/restart")

    def over() -> dict[str, Any] | None:
        found = client.call("GET", f"/health/operations/{operation['id']}")
        return found if found["state"] != "running" else None

    done = wait_for(over, "the end of the operation")
    assert done["state"] == "succeeded", done
    assert [event["event"] for event in done["events"]] == ["acting", "acted", "proven", "result"]
    assert not before & {worker["pid"] for worker in project.workers()}
    with pytest.raises(OatieError, match="nothing is declared that restarts bare"):
        client.call("POST", "/health/services/bare/restart")


def test_a_hard_restart_replaces_stopped_workers_and_refuses_nobody(project: Project) -> None:
    # As if a ladder of somebody else's had started it: its workers are its own all the same.
    project.start(env={MARKER: "site"})
    old = [worker["pid"] for worker in project.workers()]
    for pid in old:
        psutil.Process(pid).suspend()
    done = project.oatie("recover", "app", "--from", "2", "--json").expect(0)
    assert done.json["tries"][0]["output"] == "all workers were ended, 2 new ones serve"
    assert project.get("/") == 200
    new = {worker["pid"] for worker in project.workers()}
    assert not set(old) & new
    assert all(MARKER not in psutil.Process(pid).environ() for pid in new)


def test_workers_that_crash_or_hang_are_errors_of_the_application(project: Project) -> None:
    project.configure(app={"hang_timeout": "1s", "workers": 2})
    project.start()
    crashing, hanging = (psutil.Process(worker["pid"]) for worker in project.workers())
    crashing.kill()
    hanging.suspend()

    def told() -> bool:
        groups = project.oatie("recover", "--errors", "--json").json["groups"]
        said = {group["message"] for group in groups if group["service"] == "app"}
        return said >= {"a worker hung", "a worker ended by SIGKILL (killed; out of memory?)"}

    def seen() -> str:
        return project.oatie("recover", "--errors").stdout

    wait_for(told, "both to be recorded", seconds=60.0, evidence=seen)
    assert "WorkerEnded" in seen()


STUCK_APP = """
import os, time
STARTED = time.time()

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    stuck = scope["path"] == "/ready" and os.path.exists("stuck") and os.path.getmtime("stuck") > STARTED
    status = 503 if stuck else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def test_an_application_that_lives_and_answers_wrongly_is_replaced_without_losing_a_request(
    project: Project,
) -> None:
    (project.root / "stuck_app.py").write_text(STUCK_APP)
    project.configure(
        app={"run": "stuck_app:app"},
        services={
            "app": {
                "check": {"type": "http", "path": "/ready", **FAST},
                "recover": [{"restart": "worker", "settle": "0s"}],
            }
        },
    )
    project.start()
    wait_for(lambda: status(project, "app")["status"] == "pass", "the application to be well")
    before = {worker["pid"] for worker in project.workers()}
    with project.load("/", new=2, keep=2) as load:
        (project.root / "stuck").touch()
        entry = ended(project, "app", "proven")
        result = load.finish()
    assert [t["name"] for t in entry["tries"]] == ["restart worker"]
    assert not before & {worker["pid"] for worker in project.workers()}
    assert result["failed"] == 0, result
