"""The target docker on a real engine, behind a real Caddy, with real users."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from oatie_ops.deployment.proxy.admin import Admin
from tests.real.engines import Engine, containerized, own_engine, with_oatie
from tests.real.harness import Project, ProjectMaker
from tests.real.loadrun import lost
from tests.real.waiting import need_program, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(600, func_only=True)]

LAST_NEW = 8  # seven switches to a new release, then three back and forth: ten
STEPS = (
    "record",
    "image",
    "release-command",
    "network",
    "proxy",
    "spawn",
    "gate",
    "promote",
    "drain",
    "bake",
    "mark-good",
    "prune",
)
COMMITTING = ("mark-good", "prune")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    need_program("caddy")
    with own_engine() as one:
        yield one


@pytest.fixture
def shop(make_project: ProjectMaker, engine: Engine) -> Iterator[Project]:
    project = containerized(make_project("container.py"), engine)
    yield project
    project.oatie("stop", "--timeout", "0")
    engine.remove_all()


def containers(engine: Engine, **wanted: Any) -> list[dict[str, Any]]:
    return engine.api.containers(all=True, **wanted)


def running(engine: Engine) -> set[str]:
    return {each["Id"] for each in engine.api.containers()}


def networks(engine: Engine) -> list[str]:
    return [each["Name"] for each in engine.api.networks() if each["Name"].startswith("oatie-")]


def release_of(project: Project) -> str | None:
    return project.oatie("status", "--json").json["release"]


def test_ten_switches_lose_no_request_and_cut_no_connection(shop: Project, engine: Engine) -> None:
    shop.configure(deploy={"bake": "200ms", "keep": 3})
    shop.deployed("1")
    with shop.load(new=12, keep=12, seconds=550) as load:
        for number in range(2, LAST_NEW + 1):
            shop.deployed(str(number))
            load.wait_for_release(str(number), 20)
        for back in (LAST_NEW - 1, LAST_NEW, LAST_NEW - 1):
            shop.oatie("rollback", str(back), "--yes").expect(0)
            load.wait_for_release(str(back), 20)
        result = load.finish()
    assert not lost(result), lost(result)
    assert set(result["releases"]) == {str(number) for number in range(1, LAST_NEW + 1)}
    # Two that serve, and two releases that are kept.
    assert len(running(engine)) == 2
    assert len(containers(engine)) == 6


def test_a_bad_release_reaches_no_user_and_is_explained(shop: Project, engine: Engine) -> None:
    shop.configure(deploy={"bake": "1s"})
    shop.deployed("1")
    shop.configure(app={"ready_timeout": "8s"})
    before = running(engine)
    with shop.load(new=3, keep=3, rate=100) as load:
        for knobs, words in (
            ({"exit_code": 3}, "ended with exit code 3"),
            ({"ready_status": 503}, "GET /ready answered 503"),
        ):
            shop.version("bad", **knobs)
            refused = shop.deploy().expect(7)
            error = next(event["error"] for event in refused.events if event["event"] == "error")
            assert words in error["why"], error
        load.wait_for_more(50)
        result = load.finish()
    assert not lost(result), lost(result)
    assert set(result["releases"]) == {"1"}
    assert running(engine) == before == {each["Id"] for each in containers(engine)}
    assert release_of(shop) == "1"


def test_errors_during_the_bake_turn_it_back(shop: Project, engine: Engine) -> None:
    shop.configure(deploy={"bake": "200ms"})
    shop.deployed("1")
    before = running(engine)
    shop.configure(deploy={"bake": "20s"})
    shop.version("2", status=500)
    with shop.load(new=3, keep=3, rate=100):
        turned = shop.deploy().expect(7)
    assert "too often with an error" in turned.said
    assert running(engine) == before
    assert release_of(shop) == "1"


def test_a_container_that_listens_elsewhere_is_told_so(shop: Project, engine: Engine) -> None:
    shop.configure(app={"ready_timeout": "8s"})
    (shop.root / "Dockerfile").write_text(
        f'FROM {"oatie-test-base:bookworm"}\nENV ELSEWHERE=1\nCMD ["python3", "-m", "http.server", "5005"]\n'
    )
    shop.version("1")
    failed = shop.deploy().expect(1)
    assert "listens on 5005" in failed.said
    assert not containers(engine)
    assert not networks(engine)


def hit(project: Project, step: str, number: int) -> int:
    run = project.background("deploy", "--yes", "--json")
    run.wait_for_step(step)
    run.signal(number)
    return run.wait().code


def test_killed_at_every_step_the_old_release_serves_and_nothing_is_left(
    shop: Project, engine: Engine
) -> None:
    shop.configure(docker={"replicas": 1})
    shop.deployed("1")
    shop.configure(deploy={"release": "sleep 0.3", "bake": "500ms"})
    serving = "1"
    with shop.load(new=3, keep=3, rate=60) as load:
        for step in STEPS:
            before = running(engine)
            shop.version(step, startup_seconds=0.3)
            code = hit(shop, step, signal.SIGKILL)
            now = settled(shop)
            if now == serving:
                assert running(engine) == before, step
            else:
                assert step in COMMITTING or code == 0, f"{step}: {serving} -> {now} (exit {code})"
            serving = now
            assert len(running(engine)) == 1, step
            assert len(networks(engine)) == 1
        load.wait_for_more(30)
        result = load.finish()
    assert not lost(result), lost(result)


@pytest.mark.parametrize(
    ("step", "number", "expected"),
    [
        ("image", signal.SIGTERM, 143),
        ("release-command", signal.SIGINT, 130),
        ("spawn", signal.SIGTERM, 143),
        ("gate", signal.SIGINT, 130),
        ("promote", signal.SIGTERM, 143),
        ("bake", signal.SIGINT, 130),
    ],
)
def test_interrupted_it_undoes_by_itself(
    shop: Project, engine: Engine, step: str, number: int, expected: int
) -> None:
    shop.configure(docker={"replicas": 1})
    shop.deployed("1")
    before, kept = running(engine), images(engine)
    shop.configure(deploy={"release": "sleep 1", "bake": "10s"})
    shop.version(step, startup_seconds=1.0)
    assert hit(shop, step, number) == expected
    assert running(engine) == before == {each["Id"] for each in containers(engine)}
    assert images(engine) == kept
    assert release_of(shop) == "1"


def images(engine: Engine) -> set[str]:
    return {tag for each in engine.api.images() for tag in each.get("RepoTags") or ()}


def settled(project: Project) -> str:
    """`oatie start` puts in order what a killed run left, and leaves alone what serves."""
    return str(project.oatie("start", "--daemon", "--json").expect(0).json["release"])


def test_a_killed_first_deploy_leaves_no_container_network_or_route(shop: Project, engine: Engine) -> None:
    shop.configure(deploy={"release": "sleep 0.3", "bake": "2s"}, docker={"replicas": 1})
    shop.version("1", startup_seconds=0.3)
    for step in ("image", "release-command", "proxy", "spawn", "promote", "bake"):
        hit(shop, step, signal.SIGKILL)
        again = hit(shop, "record", signal.SIGTERM)  # its first words put in order what the other left
        assert again == 143
        assert not containers(engine), step
        assert not networks(engine), step
        assert not Admin(shop.admin).answers(), step  # type: ignore[attr-defined]
    shop.deploy().expect(0)
    assert shop.get("/") == 200


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_release_command_that_fails_first_leaves_nothing(
    shop: Project, engine: Engine, interrupted: bool
) -> None:
    """It makes the network and starts accessories before their own steps."""
    cache = {"image": "oatie-test-base:bookworm", "command": ["python3", "-m", "http.server", "6000"]}
    shop.configure(
        deploy={"release": "sleep 30" if interrupted else "exit 3"}, **{"accessories.cache": cache}
    )
    shop.version("1")
    if interrupted:
        run = shop.background("deploy", "--yes", "--json")
        run.wait_for_step("release-command")
        wait_for(lambda: len(running(engine)) == 2, "accessory and command to run", evidence=run.so_far)
        run.signal(signal.SIGINT)
        run.wait().expect(130)
    else:
        shop.deploy().expect(1)
    assert not containers(engine)
    assert not networks(engine)


def test_life_after_the_deploy(shop: Project, engine: Engine) -> None:
    """status, logs, health, scale, recover, stop, start and rollback follow to the engine."""
    shop.configure(deploy={"bake": "200ms"})
    shop.deployed("1")
    first = running(engine)
    shop.deployed("2")
    status = shop.oatie("status", "--json").expect(0).json
    assert (status["state"], status["release"], len(status["workers"])) == ("running", "2", 2)
    lines = [json.loads(line) for line in shop.oatie("logs", "--json").expect(0).stdout.splitlines()]
    assert {line["text"] for line in lines} == {"version 2 starts"}
    health = shop.oatie("health", "--json").json
    assert health["services"]["app"]["status"] == "pass"
    found = shop.oatie("health", "--all", "--timeout", "60s", "--json").expect(0).json
    assert [each["source"] for each in found["replicas"]] == ["engine", "engine"]
    assert "no oatie in it" in found["replicas"][0]["cause"]
    with shop.load(new=3, keep=3, rate=100) as load:
        shop.oatie("scale", "4").expect(0)
        assert len(running(engine)) == 4
        shop.oatie("scale", "1").expect(0)
        assert len(running(engine)) == 1
        before = running(engine)
        shop.oatie("recover", "app").expect(0)
        assert len(running(engine)) == 1
        assert running(engine) != before
        shop.oatie("rollback", "--yes").expect(0)
        load.wait_for_release("1", 20)
        result = load.finish()
    assert not lost(result), lost(result)
    assert running(engine) == first, "the kept containers of release 1 serve again"
    assert len(shop.oatie("rollback").expect(1).said) > 0
    shop.oatie("stop").expect(0)
    assert not running(engine)
    assert shop.get("/") is None
    assert shop.oatie("status", "--json").expect(1).json["state"] == "not running"
    shop.oatie("start").expect(0)
    assert running(engine) == first
    assert shop.get("/") == 200


def test_every_replica_answers_for_itself(shop: Project, engine: Engine) -> None:
    """`status --all` and `health --all`: the oatie in each container, and one that cannot be asked."""
    down = {"type": "tcp", "host": "127.0.0.1", "port": 1, "interval": "1s", "fall": 1}
    with_oatie(shop).configure(
        app={"ready_timeout": "60s"}, deploy={"bake": "200ms"}, **{"services.db": {"check": down}}
    )
    shop.deployed("1")
    patient = ("--all", "--timeout", "60s", "--json")

    def failing() -> dict[str, Any] | None:
        found = shop.oatie("health", *patient).expect(1).json
        return found if found["counts"]["fail"] == 2 else None

    found = wait_for(failing, "both to have checked their database")
    assert {each["source"] for each in found["replicas"]} == {"ops"}
    assert "db: 127.0.0.1:1: connection refused" in found["cause"]
    assert [each["inside"]["workers"] for each in found["replicas"]] == [1, 1]
    assert shop.oatie("status", *patient).expect(0).json["state"] == "running"
    frozen, other = found["replicas"]
    engine.api.pause(frozen["id"])
    try:
        found = shop.oatie("status", *patient).expect(3).json
        by_name = {each["replica"]: each for each in found["replicas"]}
        assert (found["state"], by_name[other["replica"]]["source"]) == ("degraded", "ops")
        unreachable = by_name[frozen["replica"]]
        assert (unreachable["source"], unreachable["status"]) == ("none", "unknown")
        assert "paused" in unreachable["reason"]
        shown = shop.oatie("status", "--all", "--timeout", "60s").expect(3).stdout
        assert "unreachable: " in shown
        assert "? unknown" in shown
    finally:
        engine.api.unpause(frozen["id"])


def test_the_restart_policy_is_handed_over_and_limits_are_set(shop: Project, engine: Engine) -> None:
    shop.configure(
        deploy={"bake": "200ms"},
        container={"memory": "64MiB", "cpus": 0.5, "pids": 50},
        docker={"replicas": 1},
    )
    shop.deployed("1")
    shop.deployed("2")
    found = [engine.api.inspect_container(each["Id"]) for each in containers(engine)]
    by_release = {each["Config"]["Labels"]["oatie.release"]: each for each in found}
    policies = {name: each["HostConfig"]["RestartPolicy"]["Name"] for name, each in by_release.items()}
    assert policies == {"1": "no", "2": "unless-stopped"}
    host = by_release["2"]["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 * 2**20, 500_000_000, 50)
    assert host["Init"] is True
    assert host["LogConfig"]["Config"]["max-size"] == "10m"
    assert by_release["2"]["Config"]["Image"].startswith("sha256:")
    # What crashes comes back on the same port, and Caddy finds it.
    # (An end by the engine's own API would count as a wish.)
    os.kill(by_release["2"]["State"]["Pid"], signal.SIGKILL)
    wait_for(lambda: shop.get("/") == 200, "the container to be back")


def test_an_accessory_is_started_before_and_changed_only_when_asked(shop: Project, engine: Engine) -> None:
    ok = "python3 -c 'import urllib.request as u; u.urlopen(\\\"http://127.0.0.1:6000/\\\")'"
    cache = {
        "image": "oatie-test-base:bookworm",
        "command": ["python3", "-m", "http.server", "6000"],
        "env": {"WORD": "${WORD}"},
        "healthcheck": {"test": ok.replace('\\"', '"'), "interval": "1s", "retries": 5},
    }
    shop.configure(deploy={"bake": "200ms"}, docker={"replicas": 1}, **{"accessories.cache": cache})
    secret = "horse-battery-staple"
    env = {"WORD": secret}
    shop.version("1")
    said = shop.deploy(env=env).expect(0).said
    (first,) = accessory(engine)
    shop.version("2")
    changed = shop.deploy(env={"WORD": "other-horse"}).expect(0)
    assert "oatie deploy --accessory cache" in changed.said
    assert accessory(engine) == [first]
    shop.oatie("deploy", "--accessory", "cahce", env=env).expect(2)
    shop.oatie("deploy", "--accessory", "cache", env={"WORD": "other-horse"}).expect(0)
    (second,) = accessory(engine)
    assert second != first
    shop.configure(**{"accessories.cache": {**cache, "command": ["python3", "-c", "raise SystemExit(4)"]}})
    failed = shop.oatie("deploy", "--accessory", "cache", env={"WORD": "other-horse"}).expect(7)
    assert "exit code 4" in failed.said or "health check" in failed.said
    assert accessory(engine) == [second]
    assert secret not in said


def accessory(engine: Engine) -> list[str]:
    return [each["Id"] for each in containers(engine, filters={"label": "oatie.accessory=cache"})]


def test_a_foreign_route_of_an_adopted_caddy_stays(shop: Project, engine: Engine) -> None:
    """Somebody else's server has our address; our host names get a route in it, and theirs stay."""
    admin = Admin(shop.admin)  # type: ignore[attr-defined]
    shop.configure(deploy={"bake": "200ms"}, docker={"replicas": 1})
    shop.version("1")
    foreign = {
        "listen": [f"127.0.0.1:{shop.port}"],
        "automatic_https": {"disable": True},
        "routes": [
            {
                "match": [{"host": ["other.test"]}],
                "handle": [{"handler": "static_response", "body": "theirs"}],
            }
        ],
    }
    start = {"admin": {"listen": shop.admin}, "apps": {"http": {"servers": {"theirs": foreign}}}}  # type: ignore[attr-defined]
    file = shop.outputs / "caddy.json"
    file.write_text(json.dumps(start))
    home = {"XDG_DATA_HOME": str(shop.outputs), "XDG_CONFIG_HOME": str(shop.outputs)}
    import subprocess

    caddy = subprocess.Popen(
        ["caddy", "run", "--config", str(file)],
        env=shop.environ(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(admin.answers, "Caddy")
        refused = shop.deploy().expect(5)
        assert "for somebody else" in refused.said
        shop.configure(proxy={"hosts": ["shop.test"], "tls": "off"})
        done = shop.deploy().expect(0)
        assert "5xx are not counted" in done.said, "in the plan"
        baked = done.step("bake", "done")
        assert baked is not None
        assert "not counted" in baked["message"]
        assert host(shop, "other.test") == b"theirs"
        assert b'"version": "1"' in host(shop, "shop.test")
        shop.oatie("stop").expect(0)
        assert host(shop, "other.test") == b"theirs"
        assert admin.config()[0] == start
    finally:
        caddy.terminate()
        caddy.wait(30)


def host(project: Project, name: str) -> bytes:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", project.port, timeout=60)
    connection.request("GET", "/", headers={"Host": name})
    body = connection.getresponse().read()
    connection.close()
    return body


def test_secrets_of_a_store_are_in_no_file_and_in_no_output(shop: Project, engine: Engine) -> None:
    shop.configure(app={"env": {"API_TOKEN": "${API_TOKEN}"}}, docker={"replicas": 1}, deploy={"bake": "0s"})
    secret = "correct-horse-battery"
    shop.version("1")
    done = shop.deploy(env={"API_TOKEN": secret}).expect(0)
    answer = shop.ask("/")
    assert answer is not None
    assert json.loads(answer[2])["API_TOKEN"] == secret
    assert secret not in done.said
    for place in shop.state.home.rglob("*"):
        assert not place.is_file() or secret.encode() not in place.read_bytes(), place
