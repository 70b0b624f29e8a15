"""What a deploy brings beside the release: checks, ladders, rules and alerts of today's oatie.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.real.harness import Project
from tests.real.receivers import Webhook
from tests.real.waiting import wait_for

pytestmark = pytest.mark.slow

FAST = {"interval": "200ms", "rise": 1, "fall": 1}
REPORTS: dict[str, Any] = {
    "routes": ["/work*"],
    "degrade": {"responses": [{"match": "GET /work", "body": {"canned": True}}]},
}


def file_check(name: str) -> dict[str, Any]:
    return {"type": "command", "run": ["test", "-e", name], **FAST}


def services(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = project.oatie("health", "--json").json["services"]
    return found


def has_status(project: Project, service: str, status: str) -> None:
    wait_for(
        lambda: services(project).get(service, {}).get("status") == status,
        f"{service} to be {status}",
        evidence=lambda: services(project),
    )


def test_a_deploy_brings_services_rules_ladders_and_alerts_to_a_running_supervisor(project: Project) -> None:
    project.configure(services={"gone": {"check": {"type": "command", "run": ["true"], **FAST}}})
    project.deployed("1")
    has_status(project, "gone", "pass")
    before = project.status()["supervisor"]["pid"]

    (project.root / "alive").touch()
    receiver = Webhook()
    try:
        project.config.pop("services")
        project.configure(
            services={
                "base": {
                    "check": file_check(str(project.root / "alive")),
                    "recover": [{"run": ["touch", str(project.root / "alive")], "settle": "0s"}],
                },
                "ill": {"check": {"type": "command", "run": ["false"], **FAST}},
                "reports": REPORTS,
            },
            alerts={"ops": {"webhook": receiver.url, "delay": "0s"}},
        )
        done = project.deployed("2")
        told = [event["message"] for event in done.events if event["event"] == "notice"]
        assert any("[services.base]" in line and "[alerts]" in line for line in told), told
        assert project.status()["supervisor"]["pid"] == before

        has_status(project, "base", "pass")
        assert "gone" not in services(project)
        project.oatie("degrade", "reports", "--reason", "proof").expect(0)
        answer = project.ask("/work")
        assert answer is not None
        assert b"canned" in answer[2]
        project.oatie("degrade", "reports", "--restore").expect(0)

        (project.root / "alive").unlink()
        wait_for((project.root / "alive").exists, "the new ladder to repair it", seconds=60.0)
        wait_for(lambda: "firing ill" in receiver.words, "the new channel to be told", seconds=60.0)
    finally:
        receiver.close()


def test_a_refused_deploy_changes_nothing_of_what_is_checked(project: Project) -> None:
    project.deployed("1")
    project.configure(services={"base": {"check": {"type": "command", "run": ["true"], **FAST}}})
    project.version("2", ready_status=503)
    project.configure(app={"ready_timeout": "2s"})
    project.deploy().expect(7)
    assert "base" not in services(project)


def test_what_needs_a_start_is_told(project: Project) -> None:
    project.deployed("1")
    project.configure(history={"measure": False})
    done = project.deployed("2")
    told = [event["message"] for event in done.events if event["event"] == "notice"]
    assert any("[history]" in line and "`oatie start`" in line for line in told), told


def test_a_port_that_another_oatie_holds_is_explained_by_where_that_is_stopped(
    project: Project, tmp_path: Path
) -> None:
    project.deployed("1")
    second = tmp_path / "second"
    second.mkdir()
    (second / "oatie.toml").write_text(f"[app]\nport = {project.port}\n[ops]\nlisten = 'off'\n")
    for command in ("deploy", "start"):
        refused = project.oatie(command, cwd=second).expect(5)
        assert f"the oatie of {project.root}" in refused.stderr, refused
        assert f"`oatie stop` in {project.root}" in refused.stderr, refused
