"""The target swarm on three real nodes: rollouts under users, a bad update, a dead node, life afterwards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.real.engines import DOCKERFILE, HEALTHCHECK, WITH_OATIE, with_oatie
from tests.real.harness import Completed, Project, ProjectMaker
from tests.real.swarm_nodes import Nodes, swarm_of
from tests.real.swarm_shop import (
    ROLLOUT_SECONDS,
    USERS,
    OverlayUsers,
    cleared,
    networks,
    on_swarm,
    running,
    service,
)
from tests.real.swarm_shop import deploy as deploy_with
from tests.real.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(600, func_only=True)]

SECRET = "correct-horse-battery"
ENV = {"API_TOKEN": SECRET}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with swarm_of(3) as made:
        yield made


@pytest.fixture
def shop(make_project: ProjectMaker, nodes: Nodes) -> Iterator[Project]:
    yield on_swarm(make_project("container.py"), nodes)
    wait_for(lambda: cleared(nodes), "the secrets and networks to go", seconds=60)


def deploy(project: Project, version: str, **knobs: Any) -> Completed:
    return deploy_with(project, version, SECRET, **knobs)


def test_every_task_answers_for_itself(shop: Project, nodes: Nodes) -> None:
    """The oatie in each task is asked through the engine of its node, one without an address is told."""
    with_oatie(shop).configure(
        swarm={"constraints": [], "monitor": "5s", "engines": {nodes.name(1): nodes.engines[1].host}},
        deploy={"bake": "0s"},
        app={"ready_timeout": "60s", "env": None},
    )
    (shop.root / "Dockerfile").write_text(WITH_OATIE + HEALTHCHECK)
    deploy(shop, "1").expect(0)
    asked = ("--all", "--timeout", "90s", "--json")
    found = shop.oatie("status", *asked, timeout_seconds=200).expect(3).json
    by_node = {each["node"]: each for each in found["replicas"]}
    here, known, unknown = (by_node[nodes.name(number)] for number in range(3))
    for each in (here, known):
        assert (each["source"], each["inside"]["state"]) == ("ops", "running")
        assert each["inside"]["services"]["app"]["status"] == "pass"
    assert (unknown["source"], unknown["status"]) == ("none", "unknown")
    assert "is another machine" in unknown["reason"]


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
    assert networks(nodes) == []
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
