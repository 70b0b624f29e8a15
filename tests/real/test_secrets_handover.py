"""`[secrets] expose`: how the application gets its secrets, and that nobody else can read them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.real.canaries import CANARIES, leaks
from tests.real.harness import Project, ProjectMaker

VALUES = {f"CANARY_{name.upper()}": CANARIES[name] for name in ("token", "spaces", "unicode", "json", "pem")}
DIGESTS = {name: hashlib.sha256(value.encode()).hexdigest() for name, value in VALUES.items()}

PYTHON: dict[str, Any] = {"run": "careless:app", "ready": "/ready"}
PROGRAM: dict[str, Any] = {"run": None, "command": [sys.executable, "careless.py", "serve"], "workers": 1}


@pytest.fixture
def careless(make_project: ProjectMaker, tmp_path: Path) -> Project:
    vault = tmp_path / "vault"
    vault.mkdir()
    for name, value in VALUES.items():
        (vault / name).write_text(value + "\n")
    project = make_project("careless.py")
    project.version("1")
    project.configure(
        app={"env": {name: f"${{{name}}}" for name in VALUES}},
        deploy={"build": ["python careless.py build"], "release": "python careless.py release"},
        secrets={"path": str(vault)},
    )
    return project


def found_by(project: Project) -> Mapping[str, str]:
    answer = project.ask("/digests")
    assert answer is not None
    return dict(json.loads(answer[2]))


def environments(project: Project) -> dict[str, bytes]:
    """What the owner, and every child of a worker, can read of each process."""
    return {
        f"{kind} of {process.pid}": "\0".join(words).encode("utf-8", "surrogateescape")
        for process in project.processes()
        for kind, words in (
            ("environment", [f"{name}={value}" for name, value in process.environ().items()]),
            ("command line", process.cmdline()),
        )
    }


@pytest.mark.parametrize("app", [PYTHON, PROGRAM], ids=["worker", "program"])
def test_a_descriptor_is_read_by_the_application_and_by_nobody_else(careless: Project, app: Any) -> None:
    careless.configure(app=app, secrets={"expose": "descriptor"})
    careless.deploy().expect(0)
    assert found_by(careless) == DIGESTS
    assert leaks(environments(careless), VALUES) == []
    made = careless.state.releases / "1" / "app"
    for command in ("build", "release"):
        assert json.loads((made / f"{command}.digests").read_text()) == DIGESTS
        file = (made / f"{command}.file").read_text()
        assert file
        assert not Path(file).exists()


@pytest.mark.slow
def test_every_worker_gets_a_descriptor_of_its_own(careless: Project) -> None:
    """Also the one that replaces another, and those of a reload and of a rollback."""
    careless.configure(app=PYTHON, secrets={"expose": "descriptor"})
    careless.deploy().expect(0)
    careless.deploy().expect(0)
    careless.oatie("reload").expect(0)
    careless.oatie("rollback", "--yes").expect(0)
    pids = {worker["pid"] for worker in careless.workers()}
    assert len(pids) == 2
    # Two workers share the socket; enough questions meet both.
    assert {json.dumps(found_by(careless), sort_keys=True) for _ in range(20)} == {
        json.dumps(DIGESTS, sort_keys=True)
    }
    assert leaks(environments(careless), VALUES) == []


def test_by_default_the_environment_is_what_was_asked_for(careless: Project) -> None:
    careless.configure(app=PYTHON)
    careless.deploy().expect(0)
    assert found_by(careless) == DIGESTS
    workers = [psutil.Process(worker["pid"]) for worker in careless.workers()]
    supervisor = psutil.Process(careless.status()["supervisor"]["pid"])
    # A worker is forked, so that its environment is not even in what /proc shows of it.
    shown = {"supervisor": "\0".join(supervisor.environ().values()).encode()}
    shown |= {f"command line of {worker.pid}": "\0".join(worker.cmdline()).encode() for worker in workers}
    assert leaks(shown, VALUES) == []
