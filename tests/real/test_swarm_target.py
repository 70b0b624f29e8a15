"""The target swarm on three real nodes: rollouts under users, a bad update, a dead node, life afterwards."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.engines import BASE, DOCKERFILE, HEALTHCHECK, Engine
from tests.real.harness import APPS, Project, ProjectMaker
from tests.real.swarm_nodes import Nodes, swarm_of
from tests.real.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(600, func_only=True)]

USERS = 4
ROLLOUT_SECONDS = 240.0
SECRET = "correct-horse-battery"
ENV = {"API_TOKEN": SECRET}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with swarm_of(3) as made:
        yield made


@pytest.fixture
def shop(make_project: ProjectMaker, nodes: Nodes) -> Iterator[Project]:
    project = make_project("container.py")
    (project.root / "Dockerfile").write_text(DOCKERFILE + HEALTHCHECK)
    (project.root / ".dockerignore").write_text("*\n!container.py\n!app.json\n")
    project.configure(
        app={
            "run": None,
            "command": ["python3", "container.py"],
            "workers": 1,
            "drain": "2s",
            "stop_timeout": "2s",
            "env": {"API_TOKEN": "${API_TOKEN}"},
        },
        deploy={"target": "swarm", "bake": "1s"},
        image={"repository": f"{nodes.registry}/shop", "push": True},
        swarm={
            "host": nodes.engines[0].host,
            "replicas": 3,
            "constraints": ["node.role == worker"],
            "endpoint_mode": "dnsrr",
            "publish": "none",
            "monitor": "10s",
            "timeout": f"{ROLLOUT_SECONDS:g}s",
        },
        ops={"listen": "off"},
    )
    yield project
    api = nodes.engines[0].api
    for each in api.services():
        api.remove_service(each["ID"])
    wait_for(lambda: cleared(nodes), "the secrets and networks to go", seconds=60)


def cleared(nodes: Nodes) -> bool:
    """Removed, as soon as no task that is still leaving holds them."""
    import docker

    api = nodes.engines[0].api
    for kind, remove in ((api.secrets(), api.remove_secret), (ours(nodes), api.remove_network)):
        for each in kind:
            with contextlib.suppress(docker.errors.APIError):
                remove(each.get("ID") or each["Id"])
    return not api.secrets() and not ours(nodes)


def ours(nodes: Nodes) -> list[dict[str, Any]]:
    return [each for each in nodes.engines[0].api.networks() if each["Name"].startswith("oatie-")]


class OverlayUsers:
    """Clients in a container on the network of the service."""

    def __init__(self, engine: Engine, service: str, port: int, directory: Path) -> None:
        directory.mkdir()
        shutil.copy(APPS / "overlay_users.py", directory)
        self.directory, self._api = directory, engine.api
        config = {
            "Image": BASE,
            "Cmd": ["python3", "/users/overlay_users.py", service, str(port), "/users"],
            "HostConfig": {"Binds": [f"{directory}:/users"], "NetworkMode": service},
        }
        self._id = self._api.create_container_from_config(config, f"users-{service}")["Id"]
        self._api.start(self._id)

    def answers(self) -> list[dict[str, Any]]:
        place = self.directory / "answers"
        lines = place.read_text().splitlines(keepends=True) if place.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def failed(self) -> list[dict[str, Any]]:
        return [each for each in self.answers() if not each["ok"]]

    def releases(self) -> set[str]:
        return {each["release"] for each in self.answers() if each["ok"]}

    def wait_for_more(self, count: int = 40) -> None:
        goal = len(self.answers()) + count
        wait_for(lambda: len(self.answers()) >= goal, f"{count} more answers", evidence=self.failed)

    def close(self) -> None:
        (self.directory / "stop").touch()
        self._api.remove_container(self._id, force=True)


def deploy(project: Project, version: str, **knobs: Any) -> Any:
    project.version(version, **knobs)
    arguments = ("deploy", "--yes", "--json")
    return project.oatie(*arguments, env=ENV, timeout_seconds=ROLLOUT_SECONDS + 120)


def service(nodes: Nodes) -> dict[str, Any]:
    (found,) = nodes.engines[0].api.services()
    return found


def running(nodes: Nodes) -> dict[str, str]:
    """Release by task, of those that run."""
    tasks = nodes.engines[0].api.tasks(filters={"service": service(nodes)["ID"], "desired-state": "running"})
    return {
        each["ID"]: each["Spec"]["ContainerSpec"]["Labels"]["oatie.release"]
        for each in tasks
        if each["Status"]["State"] == "running"
    }


def test_rollouts_a_bad_update_and_a_dead_node(shop: Project, nodes: Nodes) -> None:
    deploy(shop, "1").expect(0)
    name = service(nodes)["Spec"]["Name"]
    users = OverlayUsers(nodes.engines[0], name, shop.port, shop.outputs / "users")
    try:
        users.wait_for_more()
        done = deploy(shop, "2").expect(0)
        users.wait_for_more()
        assert users.failed() == []
        assert users.releases() == {"1", "2"}
        assert SECRET not in done.said
        assert SECRET not in json.dumps(service(nodes))
        answer = next(each["body"] for each in users.answers() if each["ok"])
        assert (answer["API_TOKEN"], answer["API_TOKEN_FILE"]) == (None, "/run/secrets/API_TOKEN")

        before = running(nodes)
        bad = deploy(shop, "3", exit_code=3).expect(7)
        assert "non-zero exit (3)" in bad.said
        assert "this version cannot run" in bad.said
        assert running(nodes) == before, "the old tasks run on"
        sick = deploy(shop, "4", ready_status=503).expect(7)
        assert sick.result["status"] == "rolled_back"
        assert running(nodes) == before
        users.wait_for_more()
        assert users.failed() == []
        assert users.releases() == {"1", "2"}

        nodes.kill(busiest(nodes))
        wait_for(
            lambda: is_noticed(nodes) and len(living(nodes)) >= 3,
            "the tasks of the dead node to run elsewhere",
            seconds=180,
            evidence=lambda: running(nodes),
        )
        users.wait_for_more()
        assert len(users.failed()) <= USERS, f"more than was in flight: {users.failed()}"
    finally:
        users.close()


def busiest(nodes: Nodes) -> int:
    """The number of the worker with the most tasks."""
    api = nodes.engines[0].api
    names = {each["ID"]: each["Description"]["Hostname"] for each in api.nodes()}
    tasks = api.tasks(filters={"service": service(nodes)["ID"], "desired-state": "running"})
    (most, _), *_ = Counter(names[each["NodeID"]] for each in tasks).most_common()
    return next(number for number in (1, 2) if nodes.name(number) == most)


def is_noticed(nodes: Nodes) -> bool:
    return any(each["Status"]["State"] != "ready" for each in nodes.engines[0].api.nodes())


def living(nodes: Nodes) -> list[str]:
    """Tasks that run on a node that is up."""
    api = nodes.engines[0].api
    up = {each["ID"] for each in api.nodes() if each["Status"]["State"] == "ready"}
    tasks = api.tasks(filters={"service": service(nodes)["ID"], "desired-state": "running"})
    return [each["ID"] for each in tasks if each["NodeID"] in up and each["Status"]["State"] == "running"]


def test_life_after_the_deploy(shop: Project, nodes: Nodes) -> None:
    """With the nodes that are left. A first release that fails leaves no service."""
    shop.configure(swarm={"replicas": 1, "monitor": "5s"}, deploy={"bake": "0s"})
    deploy(shop, "bad", exit_code=4).expect(1)
    api = nodes.engines[0].api
    assert api.services() == api.secrets() == []
    assert ours(nodes) == []
    deploy(shop, "1").expect(0)
    deploy(shop, "2").expect(0)
    status = shop.oatie("status", "--json").expect(0).json
    assert (status["state"], status["release"], status["target"]) == ("running", "3", "swarm")
    lines = [json.loads(line) for line in shop.oatie("logs", "--json").expect(0).stdout.splitlines()]
    assert "version 2 starts" in {line["text"] for line in lines}
    shop.oatie("scale", "2", env=ENV).expect(0)
    assert len(running(nodes)) == 2
    shop.oatie("rollback", "--yes", env=ENV, timeout_seconds=ROLLOUT_SECONDS).expect(0)
    assert set(running(nodes).values()) == {"2"}
    shop.oatie("stop").expect(0)
    assert running(nodes) == {}
    assert shop.oatie("status", "--json").expect(1).json["state"] == "not running"
    shop.oatie("start", env=ENV).expect(0)
    assert set(running(nodes).values()) == {"2"}


def test_an_image_without_a_health_check_is_refused(shop: Project, nodes: Nodes) -> None:
    (shop.root / "Dockerfile").write_text(DOCKERFILE)
    refused = deploy(shop, "1").expect(1)
    assert "no health check" in refused.said
    assert nodes.engines[0].api.services() == []
