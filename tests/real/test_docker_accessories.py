"""A real Redis as an accessory: its data survives upgrades, and what goes wrong with a new one is told."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.engines import BASE, Engine, containerized, own_engine
from tests.real.harness import Project, ProjectMaker
from tests.real.waiting import free_port, need_program, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(600, func_only=True)]

IMAGE = "redis-of-this-test"
OPEN = ("--protected-mode", "no")  # its port is one of the loopback


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    need_program("caddy")
    context = tmp_path_factory.mktemp("redis")
    for name in ("redis-server", "redis-cli"):
        put_program(Path(need_program(name)), context / "root")
    with own_engine() as one:
        for tag in ("old", "new"):
            (context / "Dockerfile").write_text(f"FROM {BASE}\nCOPY root /\nLABEL edition={tag}\n")
            for line in one.api.build(path=str(context), tag=f"{IMAGE}:{tag}", decode=True):
                assert "error" not in line, line
        yield one


def put_program(program: Path, root: Path) -> None:
    """With the libraries that it takes, where they are on this machine."""
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    libraries = [Path(found) for found in re.findall(r"=> (/\S+)", listed)]
    for place in (program, *libraries):
        # The C library is that of the base, which is as new.
        if place is program or not re.match(r"lib(c|m|dl|rt|pthread)\.so", place.name):
            target = root / str(place.parent.resolve() / place.name).lstrip("/")  # /lib is a link
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(place.resolve(), target)


@pytest.fixture
def shop(make_project: ProjectMaker, engine: Engine) -> Iterator[Project]:
    project = containerized(make_project("container.py"), engine, replicas=1, accessory_timeout="60s")
    project.port_of_cache = free_port()  # type: ignore[attr-defined]
    project.configure(
        deploy={"bake": "200ms"},
        **{
            "accessories.cache": {
                "image": f"{IMAGE}:old",
                "command": [need_program("redis-server"), "--dir", "/data", "--appendonly", "yes", *OPEN],
                "volumes": [f"data-{project.marker}:/data"],
                "ports": [f"127.0.0.1:{project.port_of_cache}:6379"],  # type: ignore[attr-defined]
                "healthcheck": {"test": ["redis-cli", "ping"], "interval": "1s", "retries": 30},
            }
        },
    )
    project.version("1")
    project.deploy().expect(0)
    yield project
    project.oatie("stop", "--timeout", "0")
    engine.remove_all()
    engine.api.remove_volume(f"data-{project.marker}")


def ask(project: Project, *words: str) -> str:
    """One command of Redis's own protocol."""
    with socket.create_connection(("127.0.0.1", project.port_of_cache), timeout=10) as connection:  # type: ignore[attr-defined]
        connection.sendall((" ".join(words) + "\r\n").encode())
        return connection.recv(4096).decode().strip().splitlines()[-1]


def cache(engine: Engine) -> dict[str, Any]:
    """Exactly one, and it runs."""
    (found,) = engine.api.containers(all=True, filters={"label": "oatie.role=accessory"})
    assert found["State"] == "running", found
    return dict(found)


def test_data_survives_an_upgrade_that_was_asked_for(shop: Project, engine: Engine) -> None:
    assert "OK" in ask(shop, "SET", "colour", "blue")
    first = cache(engine)["Id"]
    shop.configure(**{"accessories.cache": {"image": f"{IMAGE}:new"}})
    shop.version("2")
    assert "oatie deploy --accessory cache" in shop.deploy().expect(0).said
    assert cache(engine)["Id"] == first, "no deploy of the application touches it"
    shop.oatie("deploy", "--accessory", "cache").expect(0)
    second = cache(engine)
    assert second["Id"] != first
    assert second["Labels"]["edition"] == "new"
    assert ask(shop, "GET", "colour") == "blue"
    assert "nothing to do" in shop.oatie("deploy", "--accessory", "cache").expect(0).said
    shop.oatie("stop").expect(0)
    assert cache(engine)["Id"] == second["Id"], "it goes on without the application"


def test_what_goes_wrong_leaves_the_old_one_running(shop: Project, engine: Engine) -> None:
    ask(shop, "SET", "colour", "blue")
    good = dict(shop.config["accessories.cache"])
    before = cache(engine)["Id"]

    shop.configure(
        **{"accessories.cache": {"image": "no-such-image-here:1", "healthcheck": good["healthcheck"]}}
    )
    said = shop.oatie("deploy", "--accessory", "cache").expect(1).said
    assert "no-such-image-here:1" in said
    assert cache(engine)["Id"] == before, "it was not even stopped"

    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        shop.configure(**{"accessories.cache": {**good, "ports": [f"127.0.0.1:{taken}:6379"]}})
        said = shop.oatie("deploy", "--accessory", "cache").expect(7).said
        assert str(taken) in said
        assert "in use" in said
    assert "the one before runs again" in said

    shop.configure(**{"accessories.cache": {**good, "command": ["redis-server", "--no-such-option", "1"]}})
    said = shop.oatie("deploy", "--accessory", "cache").expect(7).said
    assert "no-such-option" in said, "its own words"
    shop.configure(
        **{"accessories.cache": {**good, "healthcheck": {"test": "exit 1", "interval": "1s", "retries": 2}}}
    )
    said = shop.oatie("deploy", "--accessory", "cache").expect(7).said
    assert "health check" in said
    assert cache(engine)["Id"] == before
    wait_for(lambda: ask(shop, "GET", "colour") == "blue", "the old one to have read its data")


def test_a_replacement_that_is_killed_leaves_one_of_them(shop: Project, engine: Engine) -> None:
    ask(shop, "SET", "colour", "blue")
    shop.configure(**{"accessories.cache": {"image": f"{IMAGE}:new"}})
    first = cache(engine)["Id"]
    run = shop.background("deploy", "--accessory", "cache", "--json")

    def at_work() -> bool:
        found = engine.api.containers(all=True, filters={"label": "oatie.role=accessory"})
        return len(found) != 1 or found[0]["State"] != "running"

    wait_for(at_work, "the old one to be on its way out", evidence=run.so_far)
    run.signal(signal.SIGKILL)
    run.wait()
    shop.oatie("deploy", "--accessory", "cache").expect(0)
    assert cache(engine)["Id"] != first
    assert cache(engine)["Labels"]["edition"] == "new"
    wait_for(lambda: ask(shop, "GET", "colour") == "blue", "its data")
