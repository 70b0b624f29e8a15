"""The whole target "kubernetes" by its commands: rollouts good and bad, undo, conflicts, kills, scale, logs.

Runs against the small cluster of `tests.real.cluster`; with the mark ``kubernetes`` and KUBECONFIG, the same
suite runs against a real one, in namespaces that it makes and removes. Three lines of the guide's page
(`oatie_ops/guide/kubernetes.md`, "The suite against a real cluster") say how, and which image it needs.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.deployment.targets.kubernetes import looking
from oatie_ops.deployment.targets.kubernetes.errors import ClusterError
from oatie_ops.deployment.targets.kubernetes.inside import run_inside
from oatie_ops.deployment.targets.kubernetes.paths import path_of
from tests.real.cluster import fake_cluster
from tests.real.harness import Project, ProjectMaker
from tests.real.kubernetes_site import CRASH, LATE, NEVER, SERVE, Site, real_namespace, without_tag
from tests.real.waiting import wait_for

# A cluster pulls images, drains pods and is slow at times; the deadlines of the product end sooner.
pytestmark = pytest.mark.timeout(1800)

WAIT_SECONDS = 180.0
BOTH = ["fake", pytest.param("real", marks=pytest.mark.kubernetes)]


def a_site(kind: str, project: Project, directory: Path, level: str) -> Iterator[Site]:
    """``level``: that of Pod Security in the namespace."""
    if kind == "real":
        with real_namespace({"pod-security.kubernetes.io/enforce": level}) as (kubeconfig, name, image):
            yield Site(project, kubeconfig, name, image, None)
        return
    with fake_cluster() as fake:
        if level == "restricted":
            fake.restricted.add("shop")
        yield Site(project, fake.kubeconfig(directory / "kubeconfig"), "shop", "python:3.12-slim", fake)


@pytest.fixture(params=BOTH)
def site(request: pytest.FixtureRequest, make_project: ProjectMaker, tmp_path: Path) -> Iterator[Site]:
    yield from a_site(request.param, make_project(), tmp_path, "baseline")


@pytest.fixture(params=BOTH)
def strict_site(request: pytest.FixtureRequest, make_project: ProjectMaker, tmp_path: Path) -> Iterator[Site]:
    yield from a_site(request.param, make_project(), tmp_path, "restricted")


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
    serving = [each for each in status["workers"] if each["state"] == "serving"]
    assert (status["release"], status["state"], len(serving)) == ("2", "running", 2)
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
    "an image that is not there": ({"image": "no-such-tag"}, "cannot be pulled"),
    "a crash loop": ({"command": CRASH}, "ends again and again"),
    "a pod that no node can take": ({"container": {"cpus": 1000}}, "no node can take it"),
    "never ready": ({"command": NEVER}, "become ready"),
    "a crash during the bake": ({"command": LATE}, "under real traffic"),
    "a release command that fails": ({"deploy": {"release": "exit 1"}}, "exit code 1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(BAD))
def test_a_bad_release_is_undone_and_explained(site: Site, case: str) -> None:
    # One pod, so that the rollout is over before the late crash.
    one = {"replicas": 1} if case == "a crash during the bake" else {}
    site.configure(kubernetes=one)
    site.deploy().expect(0)
    change, why = BAD[case]
    site.configure(**{**change, "kubernetes": one})
    if case == "an image that is not there":
        site.configure(image=f"{without_tag(site.image)}:no-such-tag", kubernetes=one)
    if case == "a crash during the bake":
        site.configure(command=LATE, kubernetes=one, deploy={"bake": "3s" if site.quick else "60s"})
    if case == "never ready":
        site.configure(command=NEVER, app={} if site.quick else {"ready_timeout": "20s"})
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
@pytest.mark.parametrize(
    "change", [{"command": CRASH}, {"deploy": {"release": "exit 1"}}], ids=["crash", "command"]
)
def test_a_first_release_that_fails_leaves_nothing(site: Site, change: dict[str, Any]) -> None:
    site.configure(**change)
    site.oatie("deploy", "--yes").expect(1)
    for kind in ("Deployment", "Service", "PodDisruptionBudget", "ConfigMap", "ServiceAccount", "Job", "Pod"):
        wait_for(lambda kind=kind: not site.names(kind), f"no {kind}", seconds=WAIT_SECONDS)
    # And the next one starts as if nothing had been.
    site.configure(deploy={"release": None})
    site.deploy().expect(0)


@pytest.mark.slow
def test_a_field_of_another_manager_stops_it_before_anything_changes(site: Site) -> None:
    site.deploy().expect(0)
    site.applied_by("someone-else", {"minReadySeconds": 3})
    site.configure(app={"log_level": "debug"})
    said = site.oatie("deploy", "--yes").expect(7).stderr
    assert "Deployment web-shop is managed by somebody else" in said
    assert ".spec.minReadySeconds belongs to someone-else" in said
    assert "force_conflicts" in said
    assert site.release() == "1"
    site.configure(kubernetes={"force_conflicts": True})
    site.deploy().expect(0)
    assert site.release() == "3"


def test_a_paused_deployment_is_told_before_anything_changes(site: Site) -> None:
    site.deploy().expect(0)
    site.applied_by("someone-else", {"paused": True})
    site.configure(app={"log_level": "debug"})
    said = site.oatie("deploy", "--yes").expect(5).stderr
    assert "the Deployment is paused" in said and "kubectl rollout resume deployment web-shop" in said
    assert site.release() == "1"
    site.applied_by("someone-else", {"paused": False})
    site.deploy().expect(0)


@pytest.mark.slow
def test_an_image_that_somebody_has_set_is_not_overwritten_and_an_undo_brings_it_back(site: Site) -> None:
    site.deploy().expect(0)
    other = {"name": "app", "image": site.image, "env": [{"name": "EXTRA", "value": "1"}]}
    site.applied_by("someone-else", {"template": {"spec": {"containers": [other]}}})
    site.configure(app={"log_level": "debug"})
    site.deploy().expect(0)
    # What both want is shared, and what only the other one wants stays.
    assert {"name": "EXTRA", "value": "1"} in site.container()["env"]
    assert {"name": "PORT", "value": "8080"} in site.container()["env"]
    site.configure(image=f"{without_tag(site.image)}:no-such-tag")
    said = site.oatie("deploy", "--yes").expect(7).stderr
    assert '.spec.template.spec.containers[name="app"].image belongs to someone-else' in said
    site.configure(image=f"{without_tag(site.image)}:no-such-tag", kubernetes={"force_conflicts": True})
    assert "cannot be pulled" in site.oatie("deploy", "--yes").expect(7).stderr
    assert (site.release(), site.container()["image"]) == ("2", site.image)
    assert {"name": "EXTRA", "value": "1"} in site.container()["env"]


@pytest.mark.slow
def test_what_is_no_longer_in_the_file_goes(site: Site) -> None:
    site.configure(
        kubernetes={"ingress": {"host": "shop.example"}, "annotations": {"team": "a"}},
        container={"memory": "256MiB"},
    )
    site.deploy().expect(0)
    assert site.names("Ingress") == {"web-shop"}
    assert site.container()["resources"]["limits"]["memory"]
    site.configure(kubernetes={"ingress": None, "annotations": None}, container={"memory": None})
    site.deploy().expect(0)
    assert site.names("Ingress") == set()
    assert not any((site.container().get("resources") or {}).values())
    assert "team" not in site.deployment()["spec"]["template"]["metadata"]["annotations"]


@pytest.mark.slow
def test_what_somebody_scaled_stays_until_the_file_says_another_number(site: Site) -> None:
    site.deploy().expect(0)
    site.kubectl_scale(3)
    site.configure(app={"log_level": "debug"})
    site.deploy().expect(0)
    assert site.replicas() == 3
    site.configure(command=CRASH)
    site.oatie("deploy", "--yes").expect(7)
    assert (site.release(), site.replicas()) == ("2", 3)
    # Another number in the file is an order, whoever has set the one before.
    site.configure(kubernetes={"replicas": 1})
    site.deploy().expect(0)
    assert site.replicas() == 1


@pytest.mark.slow
def test_an_undo_brings_the_number_of_pods_back(site: Site) -> None:
    site.deploy().expect(0)
    site.oatie("scale", "1").expect(0)
    site.configure(command=CRASH, kubernetes={"replicas": 3})
    site.oatie("deploy", "--yes").expect(7)
    assert (site.release(), site.replicas()) == ("1", 1)


@pytest.mark.slow
def test_an_autoscaler_keeps_the_number_that_it_has_chosen(site: Site) -> None:
    scale = {"min": 1, "max": 4, "cpu": 80}
    site.configure(kubernetes={"autoscale": scale}, container={"cpus": 0.2})
    site.deploy().expect(0)
    assert site.replicas() == 1
    # It is the autoscaler that goes up to its new minimum, for which it needs no metrics.
    site.configure(kubernetes={"autoscale": {**scale, "min": 2}})
    site.deploy().expect(0)
    wait_for(lambda: site.replicas() == 2, "the autoscaler", seconds=WAIT_SECONDS)
    site.configure(app={"log_level": "debug"})
    site.deploy().expect(0)
    assert site.replicas() == 2
    ours = [each for each in site.deployment()["metadata"]["managedFields"] if each["manager"] == "oatie"]
    assert ours and not any("f:replicas" in each["fieldsV1"]["f:spec"] for each in ours)
    site.oatie("scale", "3").expect(1)
    site.configure(command=CRASH)
    site.oatie("deploy", "--yes").expect(7)
    assert (site.release(), site.replicas()) == ("3", 2)
    assert site.names("HorizontalPodAutoscaler") == {"web-shop"}
    site.oatie("stop").expect(0)
    assert site.replicas() == 0
    site.oatie("start").expect(0)
    assert site.replicas() == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("step", ["apply", "watch", "bake"])
def test_killed_at_a_step_it_is_undone(site: Site, step: str, number: int) -> None:
    site.deploy().expect(0)
    site.configure(command=NEVER if step == "watch" else SERVE, app={"log_level": "debug"})
    running = site.background("deploy", "--yes", "--json")
    running.wait_for_step(step)
    running.signal(number)
    ended = running.wait(600)
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
    site.kubectl_scale(1)
    site.oatie("scale", "3").expect(0)
    assert site.replicas() == 3
    site.kubectl_scale(2)
    site.oatie("stop").expect(0)
    assert site.replicas() == 0
    site.oatie("status").expect(1)
    site.oatie("start").expect(0)
    assert site.replicas() == 2
    health = site.oatie("health", "app", "--json").expect(0).json
    assert "2 of 2 pods are ready" in json.dumps(health)


@pytest.mark.slow
def test_a_rollout_restart_replaces_every_pod(site: Site) -> None:
    site.deploy().expect(0)
    before = {each["metadata"]["name"] for each in site.pods()}
    site.oatie("recover", "app").expect(0)
    after = {each["metadata"]["name"] for each in site.pods()}
    assert len(after) == 2 and not before & after
    assert site.release() == "1"


@pytest.mark.slow
def test_a_pod_that_the_security_level_refuses_is_explained(strict_site: Site) -> None:
    site = strict_site
    said = site.oatie("deploy", "--yes").expect(1).stderr
    assert "PodSecurity" in said and "user" in said
    assert not site.names("Deployment")
    site.configure(deploy={"release": "echo migrated"})
    assert "PodSecurity" in site.oatie("deploy", "--yes").expect(1).stderr
    site.configure(
        container={"user": "10001:10001", "read_only": True}, deploy={"release": "echo migrated > /tmp/done"}
    )
    site.deploy().expect(0)
    context = site.container()["securityContext"]
    assert context["readOnlyRootFilesystem"] and context["runAsNonRoot"]


@pytest.mark.slow
def test_a_quota_that_leaves_no_room_is_explained(site: Site) -> None:
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
    place = f"/api/v1/namespaces/{site.cluster.namespace}/resourcequotas"
    site.cluster.call("POST", place, body=body | {"spec": {"hard": {"pods": "2"}}})
    site.deploy().expect(0)
    site.configure(app={"log_level": "debug"})
    said = site.oatie("deploy", "--yes").expect(7).stderr
    assert "exceeded quota" in said and "raise the quota" in said
    assert site.release() == "1"


def test_the_printed_objects_are_accepted_as_they_are(site: Site) -> None:
    import yaml

    site.configure(
        app={"env": {"GREETING": "hello", "TOKEN": "${TOKEN}"}},
        container={"memory": "256MiB", "cpus": 0.1, "user": "10001:10001", "read_only": True},
        kubernetes={"ingress": {"host": "shop.example"}, "autoscale": {"min": 1, "max": 2, "cpu": 80}},
    )
    site.env["TOKEN"] = "canary-of-the-token-3141"
    printed = site.oatie("deploy", "--dry-run", "-o", "yaml").expect(0).stdout
    objects = for_its_version(site, printed)
    assert {each["kind"] for each in objects} >= {"Deployment", "Service", "Secret", "ConfigMap", "Ingress"}
    for each in objects:
        place = path_of(site.cluster.namespace, each)
        site.cluster.apply(place, each, manager="kubectl", force=False, dry_run=True)
    if site.fake is None and kubectl(site, "get", "pods").returncode == 0:
        known = kubectl(site, "api-versions").stdout.split()
        printed = yaml.safe_dump_all(each for each in objects if each["apiVersion"] in known)
        assert "kind: Deployment" in printed
        done = kubectl(site, "apply", "--dry-run=server", "-f", "-", said=printed)
        assert done.returncode == 0, done


def for_its_version(site: Site, printed: str) -> list[dict[str, Any]]:
    """What is printed is for a cluster of today; what a deploy applies, for the one that there is."""
    import yaml

    objects: list[dict[str, Any]] = list(yaml.safe_load_all(printed))
    if not looking.sleeps(looking.version(site.cluster)[1]):
        for each in objects:
            if each["kind"] == "Deployment":
                del each["spec"]["template"]["spec"]["containers"][0]["lifecycle"]
    return objects


def kubectl(site: Site, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """Where there is one, and it gets in: it is no part of the product."""
    return subprocess.run(
        [shutil.which("kubectl") or "false", "-n", site.cluster.namespace, *arguments],
        env=site.project.environ(site.env),
        input=said,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_what_was_applied_by_hand_can_be_taken_on_and_comes_back(site: Site) -> None:
    printed = site.oatie("deploy", "--dry-run", "-o", "yaml").expect(0).stdout
    for each in for_its_version(site, printed):
        site.cluster.apply(path_of(site.cluster.namespace, each), each, manager="kubectl", force=False)
    site.configure(command=CRASH, kubernetes={"force_conflicts": True})
    site.oatie("deploy", "--yes").expect(7)
    assert site.container()["command"] == SERVE
    assert site.names("Service") == site.names("PodDisruptionBudget") == {"web-shop"}
    site.configure()
    site.deploy().expect(0)
    assert site.release() == "2"


def test_what_somebody_else_has_made_is_left_alone(site: Site) -> None:
    port = {"port": 80, "protocol": "TCP"}
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web-shop"}}
    theirs["spec"] = {"selector": {"app": "theirs"}, "ports": [port]}
    site.cluster.apply(site.place("Service"), theirs, manager="kubectl", force=False)
    said = site.oatie("deploy", "--yes").expect(5).stderr
    assert "there is a Service web-shop that oatie has not made" in said
    found = site.get("Service")
    assert found is not None and found["spec"]["selector"] == {"app": "theirs"}
    assert not site.names("Deployment")


def test_what_is_missing_is_said_before_anything_is_done(site: Site) -> None:
    site.configure(kubernetes={"namespace": "nowhere"}, container={"user": "app"})
    said = site.oatie("deploy", "--yes").expect(5).stderr
    assert "there is no namespace nowhere" in said
    assert "cannot run as 'app'" in said
    site.env["KUBECONFIG"] = "/nowhere/kubeconfig"
    assert "KUBECONFIG" in site.oatie("deploy", "--yes").expect(5).stderr


def test_access_that_is_refused_is_explained(site: Site) -> None:
    with pytest.raises(ClusterError) as caught:
        site.cluster.get(site.place("Pod", "nobody"))
    assert caught.value.status == 404
    if site.fake is None:
        return
    for plural in ("deployments", "pods"):
        site.fake.forbidden = {("GET", plural)}
        said = site.oatie("deploy", "--yes").expect(5).stderr
        assert f'cannot get resource "{plural}"' in said and "kubectl auth can-i" in said
    file = Path(site.env["KUBECONFIG"])
    site.fake.kubeconfig(file, user={"token": "wrong"})
    said = site.oatie("deploy", "--yes").expect(5).stderr
    assert "does not allow" in said and "kubectl auth whoami" in said


def test_a_release_is_not_looked_for_in_another_cluster(make_project: ProjectMaker, tmp_path: Path) -> None:
    """KUBECONFIG, or its current context, names another one by now."""
    for site in a_site("fake", make_project(), tmp_path, "baseline"):
        site.deploy().expect(0)
        with fake_cluster() as other:
            file = other.kubeconfig(tmp_path / "other")
            site.env["KUBECONFIG"] = str(file)
            said = site.oatie("stop").expect(5).stderr
            assert "another cluster" in said
            assert site.fake is not None and site.fake.url in said and other.url in said
        assert site.replicas() == 2


@pytest.mark.slow
def test_replicas_are_asked_for_themselves(site: Site, tmp_path: Path) -> None:
    """`status --all` and `health --all` by exec in the pods; without an oatie there the cluster answers."""
    site.deploy().expect(0)
    found = site.oatie("status", "--all", "--timeout", "60s", "--json").expect(0).json
    assert (found["target"], found["state"]) == ("kubernetes", "running")
    assert [each["source"] for each in found["replicas"]] == ["engine", "engine"]
    assert all(each["node"] for each in found["replicas"])
    pod = found["replicas"][0]["replica"]
    program = "head -c 5000 /dev/zero | tr '\\0' x; echo err >&2; exit 3"
    said = run_inside(site.cluster, pod, "app", ["sh", "-c", program])
    assert (said.code, said.out, said.err.strip()) == (3, "x" * 5000, "err")
    assert run_inside(site.cluster, pod, "app", ["sh", "-c", "exit 0"]).code == 0
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
