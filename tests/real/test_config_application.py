"""What the configuration says about the application's environment, seen from inside the application."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.real.harness import Project, ProjectMaker

SHOWS_ITS_ENVIRONMENT = """
import json, os

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = json.dumps(dict(os.environ)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture
def shop(make_project: ProjectMaker) -> Project:
    project = make_project()
    (project.root / "shop.py").write_text(SHOWS_ITS_ENVIRONMENT)
    project.configure(app={"run": "shop:app", "ready": "/"})
    return project


def environment_of(project: Project) -> dict[str, str]:
    answer = project.ask("/")
    assert answer is not None
    found: dict[str, str] = json.loads(answer[2])
    return found


def test_the_variables_of_the_specification_reach_the_application(shop: Project) -> None:
    shop.start("-e", "kubernetes", "--log-level", "warning", env={"REDIS_URL": "redis://real"})
    seen = environment_of(shop)
    expected = {
        "KUBERNETES_DEPLOYMENT": "true",
        "HEALTH_CHECK_ENABLED": "true",
        "DATABASE_URL": "postgresql://postgres:password@postgres-service:5432/oatie_db",
        "REDIS_URL": "redis://real",
        "DEBUG": "false",
        "LOG_LEVEL": "WARNING",
        "WORKERS": "2",
        "PORT": str(shop.port),
    }
    assert {name: seen.get(name) for name in expected} == expected


def test_env_file_and_references_reach_it_and_stay_out_of_the_state_directory(shop: Project) -> None:
    """Also in a release that was deployed, and after the workers were replaced."""
    (shop.root / "secret.env").write_text("FROM_FILE=canary-file\n")
    shop.configure(app={"env_file": "secret.env", "env": {"TOKEN": "${OUT_TOKEN}", "GREETING": "hello"}})
    shop.deploy(env={"OUT_TOKEN": "canary-out"}).expect(0)
    for command in ((), ("reload",)):
        if command:
            shop.oatie(*command).expect(0)
        seen = environment_of(shop)
        assert (seen["TOKEN"], seen["FROM_FILE"], seen["GREETING"]) == ("canary-out", "canary-file", "hello")
    written = [path for path in shop.state.home.rglob("*") if path.is_file()]
    assert [path.name for path in written if _holds(path, b"canary")] == ["secret.env"]


def _holds(path: Path, text: bytes) -> bool:
    return text in path.read_bytes()


def test_the_second_start_comes_from_the_cache_and_runs_the_same(shop: Project) -> None:
    shop.configure(app={"env": {"GREETING": "hello"}})
    for _ in range(2):
        shop.start()
        assert environment_of(shop)["GREETING"] == "hello"
        shop.oatie("stop").expect(0)
    assert (shop.state.run / "config.json").is_file()
