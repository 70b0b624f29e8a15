"""What is made of the configuration for an engine: containers, services, Dockerfiles, log lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.config.settings_engines import AccessorySettings, ContainerSettings, SwarmSettings
from oatie_ops.deployment.containers import names
from oatie_ops.deployment.containers.api import Connection
from oatie_ops.deployment.containers.dockerfile import DOCKERIGNORE
from oatie_ops.deployment.containers.errors import EngineFailed, EngineMissing
from oatie_ops.deployment.containers.identity import identity, keep
from oatie_ops.deployment.containers.images import excluded
from oatie_ops.deployment.containers.logs import follow, last_lines
from oatie_ops.deployment.containers.spec import HANDOVER_PATH, accessory, application, published
from oatie_ops.deployment.targets.docker import fleet
from oatie_ops.deployment.targets.engine import LogQuery, Replica
from oatie_ops.deployment.targets.status import status_of
from oatie_ops.deployment.targets.swarm.spec import (
    Attached,
    monitor_seconds,
    secret_values,
    service_spec,
)
from oatie_ops.exit_codes import ExitCode
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.spec import ReleaseSpec

SECOND = 1_000_000_000
APP = AppSettings(name="shop", command=("node", "server.js"), env={"COLOUR": "blue", "TOKEN": "hidden-value"})


def made(root: Path, **more: Any) -> Settings:
    return Settings(root=root, app=APP, **more)


def release(app: AppSettings = APP) -> ReleaseSpec:
    return ReleaseSpec("7", Path("/nowhere"), app, image="sha256:abc")


def test_a_candidate_has_no_restart_policy_and_a_port_of_the_loopback(tmp_path: Path) -> None:
    container = ContainerSettings(
        memory_bytes=64,
        cpus=0.5,
        read_only=True,
        healthcheck={"test": "true", "interval": 1.5, "timeout": 1.0, "retries": 2, "start_period": 0.0},
    )
    found = application(
        made(tmp_path, container=container), release(), labels={"a": "b"}, network="n", host_port=21000
    )
    host = found.config["HostConfig"]
    assert host["RestartPolicy"] == {"Name": "no"}
    assert host["PortBindings"] == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "21000"}]}
    assert (host["Memory"], host["NanoCpus"], host["Init"]) == (64, SECOND // 2, True)
    assert host["Tmpfs"] == {"/tmp": ""}
    assert found.config["Healthcheck"]["Interval"] == 1_500_000_000
    assert found.config["Image"] == "sha256:abc"
    env = dict(each.split("=", 1) for each in found.config["Env"])
    assert env["PORT"] == "8080"
    assert env["HOST"] == "0.0.0.0"
    assert env["OATIE_RELEASE"] == "7"
    assert env["COLOUR"] == "blue"
    assert env["OATIE_HOME"] == "/tmp/.oatie", "nothing else can be written"


def test_secrets_that_are_for_no_environment_are_in_a_file(tmp_path: Path) -> None:
    app = replace(APP, stored=("TOKEN",), hand_over=True)
    found = application(made(tmp_path), release(app), labels={}, network="n", host_port=1)
    assert not any("hidden-value" in each for each in found.config["Env"])
    assert json.loads(found.files[HANDOVER_PATH]) == {"TOKEN": "hidden-value"}
    assert f"OATIE_SECRETS_FILE={HANDOVER_PATH}" in found.config["Env"]


def test_a_kept_container_is_recognised_whatever_its_port_and_labels(tmp_path: Path) -> None:
    def digest(port: int, label: str, app: AppSettings = APP, key: bytes = b"k") -> str:
        one = application(made(tmp_path), release(app), labels={"g": label}, network="n", host_port=port)
        return one.digest(key)

    assert digest(1, "a") == digest(2, "b")
    assert digest(1, "a") != digest(1, "a", replace(APP, env={"COLOUR": "red"}))
    assert digest(1, "a") != digest(1, "a", key=b"other")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5432", ({"HostIp": "", "HostPort": "5432"}, "5432/tcp")),
        ("15432:5432", ({"HostIp": "", "HostPort": "15432"}, "5432/tcp")),
        ("127.0.0.1:15432:5432", ({"HostIp": "127.0.0.1", "HostPort": "15432"}, "5432/tcp")),
        ("53:53/udp", ({"HostIp": "", "HostPort": "53"}, "53/udp")),
    ],
)
def test_published_ports_are_read_as_docker_writes_them(text: str, expected: object) -> None:
    assert published(text) == expected


def test_an_accessory_has_its_name_on_the_network() -> None:
    wanted = AccessorySettings(image="postgres:16", command=("postgres",), volumes=("db:/data",))
    found = accessory(wanted, image="sha256:x", labels={}, network="n", alias="db").config
    assert found["NetworkingConfig"]["EndpointsConfig"]["n"]["Aliases"] == ["db"]
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert (found["Image"], found["Cmd"]) == ("sha256:x", ["postgres"])


@pytest.mark.parametrize("change", [{"ports": ("127.0.0.1:6000:6379",)}, {"labels": {"team": "shop"}}])
def test_what_an_operator_changes_of_an_accessory_is_noticed(change: dict[str, Any]) -> None:
    one = AccessorySettings(image="redis:7", ports=("127.0.0.1:6379:6379",))
    made = [
        accessory(each, image="i", labels={}, network="n", alias="c")
        for each in (one, replace(one, **change))
    ]
    assert made[0].digest(b"k") != made[1].digest(b"k")


def test_a_service_is_updated_carefully_and_shows_no_secret(tmp_path: Path) -> None:
    swarm = SwarmSettings(
        replicas=3, constraints=("node.role == worker",), endpoint_mode="dnsrr", publish="none"
    )
    app = replace(APP, stored=("TOKEN",))
    test = {"Test": ["CMD", "true"], "Interval": 2 * SECOND, "Timeout": SECOND, "Retries": 2}
    found = service_spec(
        made(tmp_path, swarm=swarm),
        release(app),
        name="s",
        labels={},
        networks=["n"],
        secrets=[Attached("id", "s-1", "TOKEN")],
        configs=[],
        test=test,
        force=4,
    )
    update = found["UpdateConfig"]
    assert update["Order"] == "start-first"
    assert update["FailureAction"] == "rollback"
    assert (update["Parallelism"], update["MaxFailureRatio"]) == (1, 0.0)
    assert update["Monitor"] >= 6 * SECOND
    assert found["RollbackConfig"]["FailureAction"] == "pause"
    assert found["Mode"] == {"Replicated": {"Replicas": 3}}
    assert found["TaskTemplate"]["ForceUpdate"] == 4
    container = found["TaskTemplate"]["ContainerSpec"]
    assert "TOKEN_FILE=/run/secrets/TOKEN" in container["Env"]
    assert "hidden-value" not in json.dumps(found)
    assert container["Secrets"][0]["File"]["Name"] == "TOKEN"
    assert "Ports" not in found["EndpointSpec"]


def test_a_task_is_watched_until_its_health_check_can_tell(tmp_path: Path) -> None:
    test = {"Interval": 10 * SECOND, "Timeout": 9 * SECOND, "Retries": 2, "StartPeriod": 0}
    assert monitor_seconds(made(tmp_path), test) == pytest.approx(43.0)
    declared = made(tmp_path, swarm=SwarmSettings(monitor_seconds=3.0))
    assert monitor_seconds(declared, test) == 3.0


def test_what_is_secret_becomes_a_secret_of_the_swarm() -> None:
    env = {"TOKEN": "a-long-secret-1", "COLOUR": "blue", "STORED": "b"}
    app = replace(
        APP, env=env, env_templates={"TOKEN": "${TOKEN}", "COLOUR": "${COLOUR}"}, stored=("STORED",)
    )
    assert set(secret_values(app)) == {"TOKEN", "STORED"}


def test_the_state_never_gets_into_an_image(tmp_path: Path) -> None:
    assert ".oatie" in excluded(tmp_path, tmp_path / ".oatie")
    (tmp_path / ".dockerignore").write_text("# ours\n*\n!app\n")
    assert excluded(tmp_path, tmp_path / "state") == ["*", "!app", "state"]
    assert excluded(tmp_path, tmp_path.parent / "elsewhere") == ["*", "!app"]
    assert ".git" in DOCKERIGNORE


def test_names_are_valid_and_belong_to_one_checkout(tmp_path: Path) -> None:
    one = names.project_name("My Shop!", tmp_path / "a")
    assert one.startswith("oatie-my-shop-")
    assert one != names.project_name("My Shop!", tmp_path / "b")
    assert names.release_tag(one, "3") == f"{one}:r3"


def test_an_identity_is_made_by_keeping_it(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    first = identity(paths, "shop")
    assert identity(paths, "shop") != first
    keep(paths, first)
    assert identity(paths, "renamed") == first
    keep(paths, identity(StatePaths(tmp_path / "other"), "shop"))
    assert identity(paths, "shop") == first
    assert (tmp_path / "engine.json").stat().st_mode & 0o777 == 0o600


def source(*lines: bytes) -> Any:
    def read(**wanted: Any) -> Iterator[bytes]:
        if wanted["stdout"]:
            yield b"".join(lines)

    return read


LINE = b"2026-11-23T16:58:0%d.123456789Z %s\n"


def test_lines_of_several_containers_are_in_the_order_of_their_times() -> None:
    one, two = source(LINE % (1, b"a"), LINE % (3, b"c")), source(LINE % (2, b"b"))
    found = last_lines([("r1-1", one), ("r1-2", two)], LogQuery(lines=2))
    assert found == [
        b"2026-11-23T16:58:02.123Z r1-2 stdout b",
        b"2026-11-23T16:58:03.123Z r1-1 stdout c",
    ]


def test_following_ends_with_the_last_source() -> None:
    found: Iterable[bytes] = follow([("r1-1", source(LINE % (1, b"a")))], LogQuery(follow=True))
    assert list(found) == [b"2026-11-23T16:58:01.123Z r1-1 stdout a"]


def replica(state: str, release: str = "2") -> Replica:
    return Replica(id="i", name="n", release=release, state=state)


@pytest.mark.parametrize(
    ("replicas", "stopped", "detail", "state"),
    [
        ([replica("serving")] * 2, False, "", "running"),
        ([replica("serving"), replica("failed")], False, "", "degraded"),
        ([replica("failed")] * 2, False, "", "failed"),
        ([replica("stopped")] * 2, True, "", "not running"),
        ([replica("serving")] * 2, False, "Caddy is away", "degraded"),
        ([replica("serving", "1")] * 2, False, "", "failed"),
    ],
)
def test_the_state_is_what_serves(replicas: list[Replica], stopped: bool, detail: str, state: str) -> None:
    app = {"url": None, "port": 1, "name": "n", "ready": None, "ready_host": None}
    found = status_of(
        target="docker", release="2", replicas=replicas, wanted=2, app=app, detail=detail, stopped=stopped
    )
    assert found["state"] == state


def test_without_the_sdk_an_engine_is_a_prerequisite_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)  # as where the extra is not installed
    engine = Connection("unix:///nowhere.sock")
    with pytest.raises(EngineMissing) as caught:
        engine.version()
    assert "pip install 'oatie-ops[docker]'" in caught.value.fix
    assert caught.value.exit_code == ExitCode.PREREQUISITE_MISSING


def test_a_container_that_the_engine_keeps_is_told_after_the_others_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ordered: list[str] = []

    class Api:
        def remove_container(self, identity: str, **_: Any) -> None:
            ordered.append(identity)

    class Stubborn(fleet.Fleet):
        def look(self, identity: str) -> Any:
            return identity if identity == "stays" else None

    monkeypatch.setattr(fleet, "REMOVE_SECONDS", 0.0)
    engine: Any = SimpleNamespace(api=Api())
    with pytest.raises(EngineFailed, match="stays") as caught:
        Stubborn(engine, "shop").remove(["stays", "goes"])
    assert ordered[0] == "stays" and ordered[-1] == "goes"
    assert "docker rm -f stays" in caught.value.fix
