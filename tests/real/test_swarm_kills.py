"""A deploy to a swarm, killed or interrupted at every step: the old tasks serve, and nothing is left over."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.real.engines import BASE
from tests.real.harness import Project, ProjectMaker
from tests.real.swarm_nodes import Nodes, swarm_of
from tests.real.swarm_shop import (
    ROLLOUT_SECONDS,
    OverlayUsers,
    cleared,
    deploy,
    networks,
    on_swarm,
    running,
    service,
)
from tests.real.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(900, func_only=True)]

STEPS = (
    "record",
    "image",
    "release-command",
    "surroundings",
    "apply",
    "watch",
    "bake",
    "mark-good",
    "prune",
)
COMMITTING = ("mark-good", "prune")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with swarm_of(2) as made:
        yield made


@pytest.fixture
def shop(make_project: ProjectMaker, nodes: Nodes) -> Iterator[Project]:
    yield on_swarm(make_project("container.py"), nodes, replicas=2, monitor="3s")
    wait_for(lambda: cleared(nodes), "the secrets and networks to go", seconds=60)


def hit(project: Project, step: str, number: int) -> int:
    """A deploy of a version and a secret called like the step, which gets this signal in it."""
    project.version(step)
    run = project.background("deploy", "--yes", "--json", env={"API_TOKEN": f"secret-{step}"})
    run.wait_for_step(step)
    run.signal(number)
    return run.wait(ROLLOUT_SECONDS).code


def settled(project: Project) -> str:
    """`oatie start` puts in order what a killed run left, and leaves alone what serves."""
    done = project.oatie(
        "start", "--daemon", "--json", env={"API_TOKEN": "first"}, timeout_seconds=ROLLOUT_SECONDS + 300
    )
    return str(done.expect(0).json["release"])


def things(nodes: Nodes) -> dict[str, Any]:
    """All that a deploy could leave lying about at the manager."""
    api = nodes.engines[0].api
    tags = {tag for each in api.images() for tag in each.get("RepoTags") or ()}
    ours = [each for each in api.containers(all=True) if "oatie.release" in (each["Labels"] or {})]
    return {
        "services": len(api.services()),
        "secrets": {each["Spec"]["Name"] for each in api.secrets()},
        "configs": {each["Spec"]["Name"] for each in api.configs()},
        "networks": {each["Name"] for each in networks(nodes)},
        "images": tags - {BASE},
        "one-offs": len(ours),
    }


def needed_secrets(nodes: Nodes) -> set[str]:
    spec = service(nodes)["Spec"]["TaskTemplate"]["ContainerSpec"]
    return {each["SecretName"] for each in spec["Secrets"]}


def test_killed_at_every_step_the_old_tasks_serve_and_nothing_is_left(shop: Project, nodes: Nodes) -> None:
    (shop.root / "shop.ini").write_text("[shop]\n")
    shop.configure(swarm={"configs": {'"/etc/shop.ini"': "shop.ini"}}, deploy={"bake": "0s"})
    deploy(shop, "1", "first").expect(0)
    shop.configure(deploy={"release": "sleep 0.3", "bake": "1s"})
    serving = "1"
    users = OverlayUsers(
        nodes.engines[0], service(nodes)["Spec"]["Name"], shop.port, shop.outputs / "users", count=1
    )
    try:
        users.wait_for_more(5)
        for step in STEPS:
            tasks, before = running(nodes), things(nodes)
            (shop.root / "shop.ini").write_text(f"[shop]\nstep = {step}\n")
            code = hit(shop, step, signal.SIGKILL)
            now = settled(shop)
            if now == serving:
                assert things(nodes) == before, step
                assert set(running(nodes).values()) == {serving}, step
                if STEPS.index(step) < STEPS.index("apply"):
                    assert running(nodes) == tasks, f"{step}: the very same tasks run on"
            else:
                assert step in COMMITTING or code == 0, f"{step}: {serving} -> {now} (exit {code})"
                assert set(running(nodes).values()) == {now}
            serving = now
            assert needed_secrets(nodes) <= things(nodes)["secrets"]
            assert len(networks(nodes)) == 1
        users.wait_for_more(5)
        assert users.failed() == []
    finally:
        users.close()


@pytest.mark.parametrize(
    ("step", "number", "expected"),
    [
        ("image", signal.SIGINT, 130),
        ("surroundings", signal.SIGTERM, 143),
        ("apply", signal.SIGTERM, 143),
        ("watch", signal.SIGINT, 130),
        ("bake", signal.SIGTERM, 143),
    ],
)
def test_interrupted_it_turns_back_by_itself(
    shop: Project, nodes: Nodes, step: str, number: int, expected: int
) -> None:
    shop.configure(swarm={"replicas": 1}, deploy={"bake": "0s"})
    deploy(shop, "1", "first").expect(0)
    before = things(nodes)
    shop.configure(deploy={"bake": "20s"})
    assert hit(shop, step, number) == expected
    assert things(nodes) == before
    assert set(running(nodes).values()) == {"1"}
    status = shop.oatie("status", "--json").expect(0).json
    assert (status["state"], status["release"]) == ("running", "1")


def test_a_killed_first_deploy_leaves_nothing(shop: Project, nodes: Nodes) -> None:
    shop.configure(swarm={"replicas": 1}, deploy={"release": "sleep 0.3", "bake": "5s"})
    empty = things(nodes)
    for step in ("image", "release-command", "surroundings", "apply", "watch", "bake"):
        hit(shop, step, signal.SIGKILL)
        assert hit(shop, "record", signal.SIGTERM) == 143  # its first words put in order what the other left
        assert things(nodes) == empty, step
    deploy(shop, "1", "first").expect(0)
    assert set(running(nodes).values()) == {str(service(nodes)["Spec"]["Labels"]["oatie.release"])}
