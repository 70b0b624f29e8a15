"""A deployed application whose sources broke or went away is never replaced by the demo."""

from __future__ import annotations

import pytest

from tests.real.harness import Project

APP = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"mine"})
"""


@pytest.fixture
def unconfigured(project: Project) -> Project:
    """Nothing but main.py."""
    for file in list(project.root.iterdir()):
        file.unlink()
    (project.root / "main.py").write_text(APP)
    return project


def answer(project: Project) -> bytes:
    found = project.ask("/")
    assert found is not None
    return found[2]


@pytest.mark.slow
def test_a_deploy_of_a_broken_file_changes_nothing(unconfigured: Project) -> None:
    project = unconfigured
    project.oatie("deploy", "--port", str(project.port)).expect(0)
    main = project.root / "main.py"
    main.write_text(APP + "x = (\n")
    refused = project.oatie("deploy").expect(4)
    assert "main.py:6 SyntaxError" in refused.said
    assert answer(project) == b"mine"
    main.unlink()
    refused = project.oatie("deploy").expect(4)
    assert "release 1" in refused.said
    assert answer(project) == b"mine"
    assert project.status()["release"] == "1"


@pytest.mark.slow
def test_nor_does_it_replace_what_runs_from_the_checkout(unconfigured: Project) -> None:
    project = unconfigured
    project.oatie("start", "--daemon", "--port", str(project.port)).expect(0)
    (project.root / "main.py").unlink()
    assert "checkout" in project.oatie("deploy").expect(4).said
    assert answer(project) == b"mine"


@pytest.mark.slow
def test_the_demo_of_the_checkout_may_be_deployed(unconfigured: Project) -> None:
    project = unconfigured
    (project.root / "main.py").unlink()
    project.oatie("start", "--daemon", "--port", str(project.port)).expect(0)
    project.oatie("deploy").expect(0)
