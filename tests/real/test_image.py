"""The Dockerfile that oatie writes, built by a real engine and run as a careful operator runs images.

No registry is reachable: Debian with its python3 stands in for the image that the Dockerfile builds on, under
its very name, and pip finds there what was fetched before.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.deployment.containers.dockerfile import PYTHON_IMAGE
from tests.real.engines import (
    BASE,
    Engine,
    containerized,
    need_base_python,
    oatie_ops_home,
    own_engine,
)
from tests.real.harness import Project, ProjectMaker
from tests.real.waiting import free_port, need_program, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(900, func_only=True)]

STAND_IN = f"""\
FROM {BASE}
RUN ln -s /usr/bin/python3 /usr/local/bin/python3
COPY wheels /wheels
ENV PIP_FIND_LINKS=/wheels PIP_NO_INDEX=1
"""
APPLICATION = """\
import asyncio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def home(request):
    return PlainTextResponse("first edition")


async def slow(request):
    print("a slow one begins", flush=True)
    await asyncio.sleep(8)
    return PlainTextResponse("all of it")


app = Starlette(routes=[Route("/", home), Route("/ready", home), Route("/slow", slow)])
"""
SECRET = "correct-horse-battery-staple"
SOMEBODY = "1000660000"  # as a cluster chooses one: without a name, in group 0
ORPHANS = 'for n in 1 2 3; do sh -c "sleep 0.1 & exec true" & done'


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    need_program("caddy")
    need_base_python()
    context = tmp_path_factory.mktemp("stand-in")
    fetch = [sys.executable, "-m", "pip", "wheel", "-q", "-w", str(context / "wheels")]
    subprocess.run(
        [*fetch, str(oatie_ops_home()), "starlette", "setuptools", "wheel"],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    with own_engine() as one:
        (context / "Dockerfile").write_text(STAND_IN)
        build(one, context, PYTHON_IMAGE)
        yield one


def build(engine: Engine, context: Path, tag: str) -> list[str]:
    """What the engine says of it, line by line."""
    said = []
    for line in engine.api.build(path=str(context), tag=tag, rm=True, decode=True):
        assert "error" not in line, (line, said[-20:])
        said += [part for part in str(line.get("stream", "")).splitlines() if part.strip()]
    return said


@pytest.fixture(scope="module")
def shop(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """With what a project has lying about; its image is ``shop``."""
    project = Project(tmp_path_factory.mktemp("shop"))
    project.configure(
        app={"run": "main:app", "env_file": ".env", "ready_timeout": "60s", "drain": "60s"},
        ops={"listen": "off"},
    )
    (project.root / "main.py").write_text(APPLICATION)
    (project.root / "requirements.txt").write_text("starlette\n")
    (project.root / ".env").write_text(f"API_TOKEN={SECRET}\n")
    (project.root / ".git").mkdir()
    (project.root / ".git" / "config").write_text(SECRET)
    project.oatie("init", "--docker").expect(0)
    build(engine, project.root, "shop")
    yield project
    project.close()


@dataclass(frozen=True)
class Running:
    engine: Engine
    id: str
    port: int

    @property
    def state(self) -> dict[str, Any]:
        return dict(self.engine.api.inspect_container(self.id)["State"])

    def log(self) -> str:
        return str(self.engine.api.logs(self.id, tail=20).decode(errors="replace"))

    def wait_until_healthy(self) -> None:
        def healthy() -> bool:
            state = self.state
            assert state["Running"], self.log()
            return bool(state["Health"]["Status"] == "healthy")

        wait_for(healthy, "the health check of the image to pass", evidence=self.log)

    def run(self, *argv: str) -> str:
        made = self.engine.api.exec_create(self.id, list(argv))
        return str(self.engine.api.exec_start(made["Id"]).decode())


@contextlib.contextmanager
def run(
    engine: Engine, image: str, user: str = "", env: tuple[str, ...] = (), **host: Any
) -> Iterator[Running]:
    """On the network of the host, so that its port is there; nothing stands before its process 1."""
    port = free_port()
    config = {
        "Image": image,
        "User": user,
        "Env": [f"PORT={port}", *env],
        "HostConfig": {"NetworkMode": "host", **host},
    }
    identity = engine.api.create_container_from_config(config)["Id"]
    try:
        engine.api.start(identity)
        yield Running(engine, identity, port)
    finally:
        engine.api.remove_container(identity, force=True, v=True)


def test_what_is_in_the_image(shop: Project, engine: Engine) -> None:
    with run(engine, "shop") as one:
        one.wait_until_healthy()
        assert one.run("id", "-u").strip() == "10001"
        there = one.run("ls", "-A", "/app").split()
        assert set(there) == {".env", ".oatie", "main.py", "oatie.toml", "requirements.txt", "service.py"}
        assert one.run("cat", "/app/.env") == "", "the variables stay outside"
        assert shop.get("/", port=one.port) == 200
    history = json.dumps(engine.api.history("shop"))
    assert "useradd" in history
    assert SECRET not in history
    assert SECRET not in json.dumps(engine.api.inspect_image("shop"))


def test_as_process_1_it_collects_orphans_and_ends_when_every_request_is_answered(
    shop: Project, engine: Engine
) -> None:
    with run(engine, "shop") as one:
        one.wait_until_healthy()
        assert "oatie start" in one.run("sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline")
        one.run("sh", "-c", ORPHANS)
        zombies = ("sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null")
        wait_for(lambda: not one.run(*zombies), "the orphans to be collected")
        answers: list[Any] = []
        asking = threading.Thread(
            target=lambda: answers.append(shop.ask("/slow", port=one.port, timeout_seconds=60))
        )
        asking.start()
        wait_for(lambda: "a slow one begins" in one.log(), "the request to be in its hands")
        engine.api.stop(one.id, timeout=60)
        asking.join(60)
        assert answers, "it was given an answer"
        assert (answers[0][0], answers[0][2]) == (200, b"all of it")
        assert one.state["ExitCode"] == 0, one.log()


def test_nobody_in_particular_and_a_root_that_cannot_be_written(shop: Project, engine: Engine) -> None:
    hard = {"ReadonlyRootfs": True, "Tmpfs": {"/tmp": ""}, "CapDrop": ["ALL"]}
    home = ("OATIE_HOME=/tmp/.oatie",)
    with (
        run(engine, "shop", SOMEBODY) as free,
        run(engine, "shop", SOMEBODY, home, SecurityOpt=["no-new-privileges"], **hard) as bound,
        run(engine, "shop", SOMEBODY, **hard) as lost,
    ):
        for one in (free, bound):
            one.wait_until_healthy()
            assert one.run("id", "-u").strip() == SOMEBODY
            assert shop.get("/", port=one.port) == 200
        wait_for(lambda: not lost.state["Running"], "the one without a place for its state to end")
        assert lost.state["ExitCode"] == 5
        assert "OATIE_HOME" in lost.log()


def test_a_change_of_the_code_installs_nothing_anew(shop: Project, engine: Engine) -> None:
    (shop.root / "main.py").write_text(APPLICATION.replace("first", "second"))
    said = build(engine, shop.root, "shop:second")
    installs = [number for number, line in enumerate(said) if "RUN pip install" in line]
    assert len(installs) == 2
    for number in installs:
        assert "Using cache" in said[number + 1], said
    copied = next(number for number, line in enumerate(said) if line.endswith(": COPY . ."))
    assert "Using cache" not in said[copied + 1], "it does hold the new code"


def test_a_project_without_requirements_txt(
    shop: Project, engine: Engine, make_project: ProjectMaker
) -> None:
    """In src/, with what it needs in pyproject.toml; deployed by oatie, without a Dockerfile, read-only."""
    project = containerized(make_project(), engine, replicas=1)
    (project.root / "Dockerfile").unlink()
    (project.root / ".dockerignore").unlink()
    project.configure(
        app={"run": "shopping.main:app", "command": None, "ready": "/", "ready_timeout": "90s"},
        container={"read_only": True},
        deploy={"bake": "200ms"},
    )
    (project.root / "src" / "shopping").mkdir(parents=True)
    (project.root / "src" / "shopping" / "main.py").write_text(APPLICATION)
    (project.root / "src" / "shopping" / "__init__.py").touch()
    (project.root / "pyproject.toml").write_text(
        '[project]\nname = "shopping"\nversion = "1"\ndependencies = ["starlette"]\n'
    )
    try:
        project.deploy().expect(0)
        answer = project.ask("/")
        assert answer is not None
        assert answer[2] == b"first edition"
        (container,) = engine.api.containers(filters={"label": "oatie.role=app"})
        assert "(healthy)" in container["Status"]
    finally:
        project.oatie("stop", "--timeout", "0")
