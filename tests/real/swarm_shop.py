"""An application on the nodes of a swarm, and what the manager knows of it."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from tests.real.engines import BASE, CONTAINER_APP, DOCKERFILE, DOCKERIGNORE, HEALTHCHECK, Engine
from tests.real.harness import APPS, Completed, Project
from tests.real.swarm_nodes import Nodes
from tests.real.waiting import wait_for

ROLLOUT_SECONDS = 240.0
USERS = 4


def on_swarm(project: Project, nodes: Nodes, **swarm: Any) -> Project:
    (project.root / "Dockerfile").write_text(DOCKERFILE + HEALTHCHECK)
    (project.root / ".dockerignore").write_text(DOCKERIGNORE)
    project.configure(
        app={
            **CONTAINER_APP,
            "drain": "2s",
            "stop_timeout": "2s",
            "env": {"API_TOKEN": "${API_TOKEN}"},
        },
        deploy={"target": "swarm", "bake": "1s"},
        image={"repository": f"{nodes.registry}/shop-{project.marker[:8]}", "push": True},
        swarm={
            "host": nodes.engines[0].host,
            "replicas": 3,
            "constraints": ["node.role == worker"],
            "endpoint_mode": "dnsrr",
            "publish": "none",
            "monitor": "10s",
            "timeout": f"{ROLLOUT_SECONDS:g}s",
            **swarm,
        },
        ops={"listen": "off"},
    )
    return project


def deploy(project: Project, version: str, token: str, **knobs: Any) -> Completed:
    project.version(version, **knobs)
    arguments, env = ("deploy", "--yes", "--json"), {"API_TOKEN": token}
    return project.oatie(*arguments, env=env, timeout_seconds=ROLLOUT_SECONDS + 120)


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


def networks(nodes: Nodes) -> list[dict[str, Any]]:
    return [each for each in nodes.engines[0].api.networks() if each["Name"].startswith("oatie-")]


def cleared(nodes: Nodes) -> bool:
    """Removed, as soon as no task that is still leaving holds them."""
    import docker

    api = nodes.engines[0].api
    for each in api.services():
        api.remove_service(each["ID"])
    for kind, remove in (
        (api.secrets(), api.remove_secret),
        (api.configs(), api.remove_config),
        (networks(nodes), api.remove_network),
    ):
        for each in kind:
            with contextlib.suppress(docker.errors.APIError):
                remove(each.get("ID") or each["Id"])
    return not (api.secrets() or api.configs() or networks(nodes))


class OverlayUsers:
    """Clients in a container on the network of the service."""

    def __init__(self, engine: Engine, service: str, port: int, directory: Path, count: int = USERS) -> None:
        directory.mkdir()
        shutil.copy(APPS / "overlay_users.py", directory)
        self.directory, self._api = directory, engine.api
        config = {
            "Image": BASE,
            "Cmd": ["python3", "/users/overlay_users.py", service, str(port), "/users", str(count)],
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
