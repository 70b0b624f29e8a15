"""The target swarm on an engine that is reached over ssh, through a real sshd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.engines import need_root
from tests.real.harness import Project, ProjectMaker
from tests.real.sshd import Sshd
from tests.real.swarm_nodes import Nodes, swarm_of
from tests.real.swarm_shop import ROLLOUT_SECONDS, cleared, on_swarm, running
from tests.real.waiting import free_port, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(600, func_only=True)]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    need_root()
    with swarm_of(1) as made:
        yield made


@pytest.fixture(scope="module")
def sshd(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    one = Sshd(tmp_path_factory.mktemp("ssh") / "d", nodes.engines[0])
    yield one
    one.end()


@pytest.fixture
def shop(make_project: ProjectMaker, nodes: Nodes, sshd: Sshd) -> Iterator[Project]:
    project = on_swarm(make_project("container.py"), nodes, host=sshd.address(), replicas=1, constraints=[])
    project.configure(app={"env": None}, deploy={"bake": "0s"})
    yield project
    wait_for(lambda: cleared(nodes), "the service to go", seconds=60)


def test_everything_goes_through_ssh(shop: Project, sshd: Sshd, nodes: Nodes) -> None:
    env = sshd.client("friend")
    for version in ("1", "2"):
        shop.version(version)
        shop.oatie("deploy", "--yes", env=env, timeout_seconds=ROLLOUT_SECONDS + 120).expect(0)
    assert set(running(nodes).values()) == {"2"}
    status = shop.oatie("status", "--json", env=env).expect(0).json
    assert (status["state"], status["release"]) == ("running", "2")
    assert "version 2 starts" in shop.oatie("logs", env=env).expect(0).stdout
    asked = shop.oatie("health", "--all", "--timeout", "60s", "--json", env=env).expect(0).json
    assert [each["source"] for each in asked["replicas"]] == ["engine"], "the question was put inside"
    shop.oatie("stop", env=env).expect(0)


def test_what_is_wrong_with_ssh_is_said(shop: Project, sshd: Sshd) -> None:
    sick = {
        "the wrong key": (sshd.client("wrong-key", key="stranger"), "none of the keys"),
        "no key": (sshd.client("no-key", key=None), "none of the keys"),
        "an unknown host": (sshd.client("unknown", host_key=None), "is not in ~/.ssh/known_hosts"),
        "another host": (sshd.client("other", host_key="stranger"), "is not the one in ~/.ssh/known_hosts"),
    }
    shop.version("1")
    for what, (env, words) in sick.items():
        said = shop.oatie("deploy", "--yes", env=env).expect(5).said
        assert words in said, (what, said)
        assert "Traceback" not in said, (what, said)
    env = sshd.client("lost")
    shop.configure(swarm={"host": sshd.address("nobody-of-that-name")})
    assert "none of the keys" in shop.oatie("deploy", "--yes", env=env).expect(5).said
    shop.configure(swarm={"host": f"ssh://root@127.0.0.1:{free_port()}"})
    assert "is sshd running there" in shop.oatie("deploy", "--yes", env=env).expect(5).said
