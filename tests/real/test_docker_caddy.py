"""Caddy itself in front of containers: from an image where none is installed, and with certificates."""

from __future__ import annotations

import http.client
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.deployment.proxy.admin import Admin
from tests.real.engines import BASE, Engine, containerized, own_engine
from tests.real.harness import Project, ProjectMaker
from tests.real.loadrun import lost
from tests.real.waiting import need_program, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(600, func_only=True)]

CADDY_IMAGE = "caddy-of-this-test:2"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    need_program("caddy")
    with own_engine() as one:
        context = tmp_path_factory.mktemp("caddy")
        shutil.copy(str(shutil.which("caddy")), context / "caddy")
        (context / "Dockerfile").write_text(f"FROM {BASE}\nCOPY caddy /usr/bin/caddy\n")
        for line in one.api.build(path=str(context), tag=CADDY_IMAGE, decode=True):
            assert "error" not in line, line
        yield one


@pytest.fixture
def shop(make_project: ProjectMaker, engine: Engine) -> Iterator[Project]:
    project = containerized(make_project("container.py"), engine, replicas=1)
    project.configure(deploy={"bake": "200ms"})
    yield project
    project.oatie("stop", "--timeout", "0")
    engine.remove_all()


def without_caddy(project: Project) -> dict[str, str]:
    """An environment in which no Caddy is installed."""
    empty = project.outputs / "bin"
    empty.mkdir(exist_ok=True)
    return {"PATH": str(empty)}


def from_image(project: Project, **proxy: Any) -> dict[str, str]:
    project.configure(proxy={"image": CADDY_IMAGE, **proxy})
    return without_caddy(project)


def roles(engine: Engine) -> list[str]:
    return sorted(each["Labels"]["oatie.role"] for each in engine.api.containers())


def answers(project: Project) -> bool:
    return Admin(project.admin).answers()  # type: ignore[attr-defined]


def test_caddy_from_an_image(shop: Project, engine: Engine) -> None:
    shop.version("1")
    refused = shop.deploy(env=without_caddy(shop)).expect(5)
    assert "there is no Caddy" in refused.said
    assert "[proxy] image" in refused.said
    env = from_image(shop)
    shop.deploy(env=env).expect(0)
    assert roles(engine) == ["app", "proxy"]
    with shop.load(new=2, keep=2, rate=60) as load:
        shop.version("2")
        shop.deploy(env=env).expect(0)
        load.wait_for_release("2", 20)
        result = load.finish()
    assert not lost(result), lost(result)
    (caddy,) = engine.api.containers(filters={"label": "oatie.role=proxy"})
    engine.api.kill(caddy["Id"], "SIGKILL")
    engine.api.start(caddy["Id"])  # as the engine does after a restart of the machine
    wait_for(lambda: shop.get("/") == 200, "Caddy to have taken its route up again")
    shop.oatie("stop", env=env).expect(0)
    assert roles(engine) == []
    assert not answers(shop)
    shop.oatie("start", env=env).expect(0)
    assert shop.get("/") == 200


def test_a_caddy_that_was_killed_is_told_of_and_brought_back(shop: Project, engine: Engine) -> None:
    shop.deployed("1")
    for command in (("start",), ("recover", "app")):
        kill_caddy(shop)
        status = shop.oatie("status", "--json").expect(1).json
        assert (status["state"], status["release"]) == ("failed", "1")
        health = shop.oatie("health", "--json").expect(1).json
        assert "Caddy is away" in status["detail"]
        assert "Caddy is away" in health["services"]["app"]["output"]
        shop.oatie(*command).expect(0)
        assert shop.get("/") == 200
        assert shop.oatie("status", "--json").expect(0).json["state"] == "running"


@pytest.mark.parametrize("step", ["spawn", "bake"])
def test_a_caddy_that_dies_during_a_deploy_is_started_again(shop: Project, engine: Engine, step: str) -> None:
    shop.deployed("1")
    shop.configure(deploy={"bake": "5s"})
    shop.version("2", startup_seconds=1.0)
    run = shop.background("deploy", "--yes", "--json")
    run.wait_for_step(step)
    kill_caddy(shop)
    run.wait().expect(0)
    assert shop.serving() == "2"


def kill_caddy(project: Project) -> None:
    (caddy,) = [each for each in project.processes() if each.name() == "caddy"]
    caddy.kill()
    wait_for(lambda: not answers(project), "Caddy to be gone")


def test_a_first_deploy_that_fails_takes_the_caddy_of_the_image_away(shop: Project, engine: Engine) -> None:
    env = from_image(shop)
    shop.version("bad", exit_code=3)
    shop.deploy(env=env).expect(1)
    assert engine.api.containers(all=True) == []
    assert not answers(shop)


def test_killed_while_its_caddy_starts_nothing_is_left(shop: Project, engine: Engine) -> None:
    env = from_image(shop)
    shop.version("1")
    run = shop.background("deploy", "--yes", "--json", env=env)
    run.wait_for_step("proxy")
    run.signal(signal.SIGKILL)
    run.wait()
    again = shop.background("deploy", "--yes", "--json", env=env)
    again.wait_for_step("record")  # its first words put in order what the other left
    again.signal(signal.SIGTERM)
    assert again.wait().code == 143
    assert engine.api.containers(all=True) == []
    assert not answers(shop)


def secure_get(project: Project, host: str, authority: Path) -> tuple[int, str]:
    """Status and release over TLS, with the certificate checked."""
    context = ssl.create_default_context(cafile=str(authority))
    connection = http.client.HTTPSConnection(host, project.port, timeout=20, context=context)
    raw = socket.create_connection(("127.0.0.1", project.port), timeout=20)
    connection.sock = context.wrap_socket(raw, server_hostname=host)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        return answer.status, str(answer.getheader("X-Release"))
    finally:
        connection.close()


def certificate(project: Project, host: str) -> tuple[Path, Path]:
    place, key = project.root / "site.pem", project.root / "site.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(place)]
    command += ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return place, key


@pytest.mark.parametrize("how", ["program", "image"])
def test_a_certificate_of_ones_own(shop: Project, engine: Engine, how: str) -> None:
    need_program("openssl")
    authority, _ = certificate(shop, "shop.test")
    table = {"hosts": ["shop.test"], "tls": "files", "certificate": "site.pem", "key": "site.key"}
    env = from_image(shop, **table) if how == "image" else {}
    shop.configure(proxy=table)
    for release in ("1", "2"):
        shop.version(release)
        done = shop.deploy(env=env).expect(0)
        assert f"https://shop.test:{shop.port}" in done.said
        assert secure_get(shop, "shop.test", authority) == (200, release)
    shop.oatie("stop", env=env).expect(0)
    assert not answers(shop)


@pytest.mark.parametrize(("tls", "host"), [("internal", "shop.test"), ("auto", "shop.localhost")])
def test_caddys_own_authority(shop: Project, engine: Engine, tls: str, host: str) -> None:
    """For "auto", as far as it goes without the internet: Caddy takes its own authority for local names."""
    before = trust_store()
    shop.configure(proxy={"hosts": [host], "tls": tls})
    authority = shop.state.home / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    for release in ("1", "2"):
        shop.version(release)
        shop.deploy().expect(0)
        assert secure_get(shop, host, authority) == (200, release)
    assert trust_store() == before, "the machine trusts nobody new"


def trust_store() -> set[str]:
    return {str(place) for place in Path("/usr/local/share/ca-certificates").glob("*")}
