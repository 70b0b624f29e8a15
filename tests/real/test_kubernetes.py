"""The whole target "kubernetes" by its commands: rollouts good and bad, undo, conflicts, kills, scale, logs.

Runs against the small cluster of `tests.real.cluster`; with the mark ``kubernetes`` and KUBECONFIG, the same
suite runs against a real one: ``KUBECONFIG=… pytest -m kubernetes tests/real/test_kubernetes.py``. Its image
(OATIE_TEST_IMAGE, else a public one) needs Python.
"""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.deployment.targets.kubernetes.client import Cluster, connect
from oatie_ops.deployment.targets.kubernetes.errors import ClusterError
from oatie_ops.deployment.targets.kubernetes.inside import run_inside
from oatie_ops.deployment.targets.kubernetes.paths import path
from tests.real.cluster import FakeCluster, fake_cluster
from tests.real.harness import Completed, Project, ProjectMaker
from tests.real.waiting import wait_for

IMAGE = os.environ.get("OATIE_TEST_IMAGE", "python:3.12-slim")
NO_IMAGE = f"{IMAGE.rpartition(':')[0]}:no-such-tag"
SERVE = ["python", "-u", "-m", "http.server", "8080"]
CRASH = ["python", "-u", "-c", "import sys; print('boom'); sys.exit(3)"]
NEVER = ["python", "-u", "-c", "import time; time.sleep(3600)"]
LATE = [
    "python",
    "-u",
    "-c",
    "import http.server as h, threading, os, time  # late\n"
    "threading.Thread(target=lambda: (time.sleep(7), os._exit(9)), daemon=True).start()\n"
    "h.test(h.SimpleHTTPRequestHandler, port=8080)",
]


class Site:
    """A project that deploys to a namespace of a cluster, and a look into that namespace."""

    def __init__(self, project: Project, kubeconfig: Path, namespace: str, fake: FakeCluster | None) -> None:
        self.project, self.fake = project, fake
        self.env = {"KUBECONFIG": str(kubeconfig)}
        self.cluster: Cluster = connect(str(kubeconfig), None, namespace)
        self.quick = fake is not None
        project.config = {}
        self.configure(kubernetes={"namespace": namespace})

    def configure(self, command: list[str] = SERVE, image: str = IMAGE, **more: Any) -> None:
        self.project.configure(
            app={
                "name": "Web.Shop",
                "run": None,
                "command": command,
                "port": 8080,
                "ready": "/",
                "ready_timeout": "4s" if self.quick else "30s",
                "drain": "1s",
                "workers": None,
            },
            image={"use": image},
        )
        tables: dict[str, Any] = {
            "deploy": {"target": "kubernetes", "bake": "3s" if self.quick else "10s"},
            "kubernetes": {
                "timeout": "6s" if self.quick else "90s",
                "unschedulable": "0.3s" if self.quick else "10s",
                "pre_stop": "1s",
            },
        }
        for name, values in more.items():
            tables.setdefault(name, {}).update(values)
        self.project.configure(**tables)

    def oatie(self, *arguments: str) -> Completed:
        return self.project.oatie(*arguments, env=self.env, timeout_seconds=300)

    def deploy(self, *arguments: str) -> Completed:
        return self.oatie("deploy", "--yes", "--json", *arguments)

    def get(self, kind: str, name: str = "web-shop") -> dict[str, Any] | None:
        return self.cluster.get_or_none(path(self.cluster.namespace, kind, name))

    def release(self) -> str:
        found = self.get("Deployment")
        assert found is not None
        return str(found["spec"]["template"]["metadata"]["labels"]["oatie.ops/release"])

    def replicas(self) -> int:
        found = self.get("Deployment")
        assert found is not None
        return int(found["spec"]["replicas"])

    def names(self, kind: str) -> set[str]:
        items = self.cluster.get(path(self.cluster.namespace, kind))["items"]
        return {each["metadata"]["name"] for each in items if each["metadata"]["name"].startswith("web-shop")}


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.kubernetes)])
def site(request: pytest.FixtureRequest, make_project: ProjectMaker, tmp_path: Path) -> Iterator[Site]:
    if request.param == "fake":
        with fake_cluster() as fake:
            yield Site(make_project(), fake.kubeconfig(tmp_path / "kubeconfig"), "shop", fake)
        return
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        pytest.skip("KUBECONFIG names no cluster")
    namespace = f"oatie-test-{uuid.uuid4().hex[:8]}"
    admin = connect(kubeconfig, None, "default")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    admin.call("POST", "/api/v1/namespaces", body=body)
    try:
        yield Site(make_project(), Path(kubeconfig), namespace, None)
    finally:
        admin.call("DELETE", f"/api/v1/namespaces/{namespace}")


def test_releases_are_rolled_out_and_back(site: Site) -> None:
    first = site.deploy().expect(0)
    assert first.result["status"] == "deployed"
    assert site.release() == "1"
    assert site.names("Service") == site.names("PodDisruptionBudget") == {"web-shop"}
    site.configure(app={"log_level": "debug"}, deploy={"release": "echo migrated"})
    second = site.deploy().expect(0)
    assert any(event.get("line") for event in second.events if event["event"] == "output")
    assert site.release() == "2"
    assert site.names("Job") == set()
    status = site.oatie("status", "--json").expect(0).json
    assert (status["release"], status["state"], len(status["workers"])) == ("2", "running", 2)
    site.oatie("rollback", "--json").expect(0)
    assert site.release() == "1"
    site.oatie("rollback", "7").expect(1)


def test_a_secret_is_in_its_own_object_and_nowhere_else(site: Site) -> None:
    site.env["API_TOKEN"] = "canary-of-the-token-3141"
    site.configure(app={"env": {"API_TOKEN": "${API_TOKEN}", "GREETING": "hello"}})
    done = site.deploy().expect(0)
    config = site.get("ConfigMap", "web-shop-config-1")
    assert config is not None and config["data"]["GREETING"] == "hello"
    assert "API_TOKEN" not in config["data"]
    assert site.get("Secret", "web-shop-secret-1") is not None
    everything = json.dumps(site.get("Deployment")) + done.said
    assert "canary-of-the-token" not in everything
    shown = site.oatie("deploy", "--dry-run", "-o", "yaml").expect(0).stdout
    assert "${API_TOKEN}" in shown and "canary-of-the-token" not in shown


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an image that is not there": (
        {"image": f"{IMAGE.split(':', maxsplit=1)[0]}:no-such-tag"},
        "cannot be pulled",
    ),
    "a crash loop": ({"command": CRASH}, "ends again and again"),
    "a pod that no node can take": ({"container": {"cpus": 1000}}, "no node can take it"),
    "never ready": ({"command": NEVER}, "ready"),
    "a crash during the bake": ({"command": LATE}, "under real traffic"),
    "a release command that fails": ({"deploy": {"release": "exit 1"}}, "exit code 1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(BAD))
def test_a_bad_release_is_undone_and_explained(site: Site, case: str) -> None:
    site.deploy().expect(0)
    change, why = BAD[case]
    site.configure(**change)
    done = site.oatie("deploy", "--yes")
    done.expect(7)
    assert why in done.stderr, done
    assert site.release() == "1"
    assert site.names("ConfigMap") == {"web-shop-config-1"}
    assert site.names("Job") == set()
    assert site.oatie("status", "--json").json["state"] == "running"


@pytest.mark.slow
def test_evidence_is_shown_with_a_crash(site: Site) -> None:
    site.deploy().expect(0)
    site.configure(command=CRASH)
    said = site.oatie("deploy", "--yes").expect(7).stderr
    assert "exit code 3" in said
    assert "events:" in said and "last lines of the container that ended:" in said


@pytest.mark.slow
def test_a_first_release_that_fails_leaves_nothing(site: Site) -> None:
    site.configure(command=CRASH)
    site.oatie("deploy", "--yes").expect(1)
    for kind in ("Deployment", "Service", "PodDisruptionBudget", "ConfigMap", "ServiceAccount"):
        wait_for(lambda kind=kind: not site.names(kind), f"no {kind}")


def test_a_field_of_another_manager_stops_it_before_anything_changes(site: Site) -> None:
    site.deploy().expect(0)
    change = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web-shop"},
        "spec": {"minReadySeconds": 1},
    }
    place = path(site.cluster.namespace, "Deployment", "web-shop")
    site.cluster.apply(place, change, manager="someone-else", force=True)
    site.configure(app={"log_level": "debug"})
    said = site.oatie("deploy", "--yes").expect(7).stderr
    assert "someone-else" in said and "minReadySeconds" in said
    assert "force_conflicts" in said
    assert site.release() == "1"
    site.configure(kubernetes={"force_conflicts": True})
    site.deploy().expect(0)
    assert site.release() == "3"


@pytest.mark.slow
def test_what_somebody_scaled_stays_until_the_file_says_another_number(site: Site) -> None:
    site.deploy().expect(0)
    place = path(site.cluster.namespace, "Deployment", "web-shop")
    change = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-shop"}}
    site.cluster.apply(place, change | {"spec": {"replicas": 3}}, manager="kubectl", force=True)
    site.configure(app={"log_level": "debug"})
    site.deploy().expect(0)
    assert site.replicas() == 3
    site.configure(kubernetes={"replicas": 1, "force_conflicts": True})
    site.deploy().expect(0)
    assert site.replicas() == 1


@pytest.mark.slow
def test_an_ingress_that_is_no_longer_wanted_goes(site: Site) -> None:
    site.configure(kubernetes={"ingress": {"host": "shop.example"}})
    site.deploy().expect(0)
    assert site.names("Ingress") == {"web-shop"}
    site.configure(kubernetes={"ingress": None})
    site.deploy().expect(0)
    assert site.names("Ingress") == set()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("step", ["apply", "watch", "bake"])
def test_killed_at_a_step_it_is_undone(site: Site, step: str, number: int) -> None:
    site.deploy().expect(0)
    site.configure(command=NEVER if step == "watch" else SERVE, app={"log_level": "debug"})
    running = site.project.background("deploy", "--yes", "--json", env=site.env)
    running.wait_for_step(step)
    running.signal(number)
    ended = running.wait()
    assert ended.code in (130, 7, -signal.SIGKILL)
    # Whatever was left is put in order by the next command that changes something.
    site.configure(app={"log_level": "warning"})
    done = site.deploy().expect(0)
    assert site.release() == str(done.result["release"])
    assert site.names("ConfigMap") == {"web-shop-config-1", f"web-shop-config-{site.release()}"}


@pytest.mark.slow
def test_stop_start_scale_and_logs(site: Site) -> None:
    site.deploy().expect(0)
    said = site.oatie("logs", "-n", "2").expect(0).stdout
    assert len(said.splitlines()) == 2
    site.oatie("scale", "3").expect(0)
    assert site.replicas() == 3
    site.oatie("stop").expect(0)
    assert site.replicas() == 0
    site.oatie("status").expect(1)
    site.oatie("start").expect(0)
    assert site.replicas() == 3


def test_what_is_missing_is_said_before_anything_is_done(site: Site) -> None:
    site.configure(kubernetes={"namespace": "nowhere"}, container={"user": "app"})
    said = site.oatie("deploy", "--yes").expect(5).stderr
    assert "there is no namespace nowhere" in said
    assert "cannot run as 'app'" in said
    site.env["KUBECONFIG"] = "/nowhere/kubeconfig"
    assert "KUBECONFIG" in site.oatie("deploy", "--yes").expect(5).stderr


def test_access_that_is_refused_is_explained(site: Site, tmp_path: Path) -> None:
    found: Callable[[], Any] = lambda: site.cluster.get("/api/v1/namespaces/shop/pods/nobody")  # noqa: E731
    with pytest.raises(ClusterError) as caught:
        found()
    assert caught.value.status == 404
    if site.fake is None:
        return
    config = json.loads(Path(site.env["KUBECONFIG"]).read_text())
    config["users"][0]["user"]["token"] = "wrong"
    Path(site.env["KUBECONFIG"]).write_text(json.dumps(config))
    assert "does not allow" in site.oatie("deploy", "--yes").expect(5).stderr


def test_replicas_are_asked_for_themselves(site: Site, tmp_path: Path) -> None:
    """`status --all` and `health --all` by exec in the pods; without an oatie there the cluster answers."""
    site.deploy().expect(0)
    found = site.oatie("status", "--all", "--timeout", "60s", "--json").expect(0).json
    assert (found["target"], found["state"]) == ("kubernetes", "running")
    assert [each["source"] for each in found["replicas"]] == ["engine", "engine"]
    assert all(each["node"] for each in found["replicas"])
    pod = found["replicas"][0]["replica"]
    program = "import sys; print('x' * 5000); print('err', file=sys.stderr); sys.exit(3)"
    said = run_inside(site.cluster, pod, "app", ["python", "-c", program])
    assert (said.code, said.out.strip(), said.err.strip()) == (3, "x" * 5000, "err")
    assert run_inside(site.cluster, pod, "app", ["python", "-c", ""]).code == 0
    if site.fake is None:
        return
    site.fake.programs["oatie"] = str(an_oatie(tmp_path))
    found = site.oatie("health", "--all", "--timeout", "60s", "--json").expect(3).json
    assert [(each["source"], each["status"]) for each in found["replicas"]] == [("ops", "warn")] * 2
    assert found["cause"].endswith("db: slow")


def an_oatie(directory: Path) -> Path:
    """One that answers the two questions as a supervised application does."""
    status = {"schema": "oatie.status/v1", "state": "running", "release": "checkout", "wanted_workers": 1}
    status |= {"workers": [{"state": "serving"}], "supervisor": {"version": "1.0"}, "detail": ""}
    services = {"db": {"status": "warn", "output": "slow"}}
    health = {"schema": "oatie.health/v1", "status": "warn", "cause": "db: slow", "services": services}
    file = directory / "oatie"
    answers = {"status": status, "health": health}
    lines = (f"[ $1 = {word} ] && echo '{json.dumps(answer)}'" for word, answer in answers.items())
    file.write_text("\n".join(("#!/bin/sh", *lines, "exit 0", "")))
    file.chmod(0o755)
    return file
