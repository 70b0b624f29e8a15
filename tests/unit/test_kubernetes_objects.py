"""Objects for Kubernetes against the published schemas, and where a rollout stands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.settings import AppSettings, OpsSettings, Settings
from oatie_ops.config.settings_engines import ContainerSettings, ImageSettings, KubernetesSettings
from oatie_ops.deployment.targets.kubernetes import manifests, names, pod, rollout, variables
from oatie_ops.deployment.targets.kubernetes.errors import ClusterError, Conflict, refused
from oatie_ops.deployment.targets.kubernetes.pod import Release

kubernetes_validate = pytest.importorskip("kubernetes_validate")

APP = AppSettings(name="shop", command=("serve",), port=8080, ready="/ready", drain_seconds=20)
FULL = KubernetesSettings(
    replicas=3,
    pull_secrets=("registry",),
    node_selector={"disk": "ssd"},
    annotations={"team": "a"},
    service_type="NodePort",
    node_port=30080,
    ingress={"host": "shop.example", "class_name": "nginx", "tls_secret": "cert", "path": "/"},
    autoscale={"min": 2, "max": 9, "cpu": 60},
)
CONTAINER = ContainerSettings(
    memory_bytes=2**28,
    cpus=0.5,
    user="10001:10001",
    read_only=True,
    volumes=("data:/data", "/var/log:/logs:ro"),
)


def release(**more: Any) -> Release:
    settings = Settings(
        root=Path("/"), app=APP, image=ImageSettings(use="reg/shop:1"), kubernetes=FULL, container=CONTAINER
    )
    settings = replace(settings, **{k: v for k, v in more.items() if hasattr(settings, k)})
    rest = {k: v for k, v in more.items() if not hasattr(settings, k)}
    made = Release(settings, settings.app, "shop", "7", "reg/shop:1", "shop-config-7", "shop-secret-7", "abc")
    return replace(made, **rest)


def every_object(made: Release) -> list[dict[str, Any]]:
    config = manifests.config_objects(made, {"A": "1"}, {"TOKEN": "x"})
    return [*config, *manifests.objects(made, 3), manifests.job(made, "echo hi", 60)]


def deployment(made: Release) -> dict[str, Any]:
    return next(each for each in manifests.objects(made, 3) if each["kind"] == "Deployment")


def container(made: Release) -> dict[str, Any]:
    found: dict[str, Any] = deployment(made)["spec"]["template"]["spec"]["containers"][0]
    return found


def newest() -> list[str]:
    from tests.real.cluster_store import newest_versions

    return newest_versions()


@pytest.mark.parametrize(
    "made",
    [
        release(),
        release(sleep_action=False),
        release(kubernetes=KubernetesSettings(), container=ContainerSettings(), config="", secret=""),
        release(ops=OpsSettings(listen="0.0.0.0:8000")),
        release(app=replace(APP, ready=None)),
    ],
    ids=["full", "exec", "plain", "ops", "no-ready"],
)
def test_the_published_schemas_accept_every_object(made: Release) -> None:
    objects = manifests.annotated(every_object(made), "[]", "3", {names.STOPPED: "2"})
    for version in newest():
        for each in objects:
            kubernetes_validate.validate(json.loads(json.dumps(each)), version, strict=True)


def test_a_pod_leaves_after_it_was_taken_out_and_has_drained() -> None:
    made = release()
    spec = deployment(made)["spec"]["template"]["spec"]
    assert container(made)["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    assert spec["terminationGracePeriodSeconds"] == 5 + 20 + pod.GRACE_RESERVE_SECONDS
    assert container(release(sleep_action=False))["lifecycle"]["preStop"] == {
        "exec": {"command": ["sleep", "5"]}
    }


def test_what_is_probed_is_what_the_kubelet_can_reach() -> None:
    assert container(release())["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert "tcpSocket" in container(release())["livenessProbe"]
    ops = container(release(ops=OpsSettings(listen="0.0.0.0:8000")))
    assert [ops[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")] == [
        "/health/startup",
        "/health/ready",
        "/health/live",
    ]
    assert ops["ports"][1] == {"name": "ops", "containerPort": 8000, "protocol": "TCP"}


def test_the_job_of_a_release_gets_no_request() -> None:
    selector = manifests.objects(release(), 3)[1]["spec"]["selector"]
    job = manifests.job(release(), "x", 5)
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert not selector.items() <= labels.items()
    # By which its pod is found, whatever the cluster calls its own label.
    assert labels["oatie.ops/job"] == job["metadata"]["name"]


def test_a_pod_gives_up_what_it_does_not_need() -> None:
    context = container(release())["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["runAsNonRoot"] and not context["allowPrivilegeEscalation"]
    assert deployment(release())["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


def test_variables_that_may_be_secret_are_apart() -> None:
    app = replace(
        APP,
        env={"PORT": "1", "A": "1", "OUTSIDE": "v", "STORED": "w", "API_KEY": "sk-123456789"},
        env_templates={"OUTSIDE": "${OUTSIDE}"},
        stored=("STORED",),
    )
    plain, secret = variables.split(app)
    assert plain == {"A": "1"}
    assert set(secret) == {"OUTSIDE", "STORED", "API_KEY"}
    assert variables.shown(app, secret) == {"OUTSIDE": "${OUTSIDE}", "STORED": "***", "API_KEY": "***"}


@pytest.mark.parametrize(
    ("name", "wanted"), [("Web.Shop", "web-shop"), ("a_b", "a-b"), ("--", "app"), ("x" * 80, "x" * 50)]
)
def test_any_name_becomes_a_label(name: str, wanted: str) -> None:
    assert names.object_name(name) == wanted


def test_the_record_of_what_was_applied_can_be_applied_again() -> None:
    objects = manifests.objects(release(), 3)
    [annotated, *_] = manifests.annotated(objects, "before", "3")
    assert json.loads(annotated["metadata"]["annotations"][names.APPLIED]) == objects
    assert annotated["metadata"]["annotations"][names.BEFORE] == "before"
    assert manifests.with_replicas(objects, 5)[0]["spec"]["replicas"] == 5
    again = manifests.restarted(objects, "now")[0]["spec"]["template"]
    assert again["metadata"]["annotations"][names.RESTARTED] == "now"


# -- where a rollout stands ----------------------------------------------------------------------------


def seen(generation: int = 2, observed: int = 2, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"generation": generation},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": observed, **status},
    }


def a_pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "creationTimestamp": "2026-11-28T10:00:00Z"}, "status": status}


NOW = rollout.epoch("2026-11-28T10:01:00Z") or 0.0


def standing(deployment: dict[str, Any], *pods: dict[str, Any]) -> rollout.Standing:
    return rollout.evaluate(deployment, pods, NOW, 20.0)


@pytest.mark.parametrize(
    ("deployment", "done", "says"),
    [
        (seen(observed=1, updatedReplicas=2, availableReplicas=2, replicas=2), False, "not looked"),
        (seen(updatedReplicas=1, availableReplicas=2, replicas=3), False, "1 of 2 pods are of the new"),
        (seen(updatedReplicas=2, availableReplicas=2, replicas=3), False, "1 old pods"),
        (seen(updatedReplicas=2, availableReplicas=1, replicas=2), False, "1 of 2 new pods are ready"),
        (seen(updatedReplicas=2, availableReplicas=2, replicas=2), True, "2 of 2"),
    ],
)
def test_a_rollout_is_over_when_every_pod_is_new_and_ready(
    deployment: dict[str, Any], done: bool, says: str
) -> None:
    found = standing(deployment)
    assert (found.done, found.trouble) == (done, None)
    assert says in found.waiting


def waiting(reason: str, **more: Any) -> dict[str, Any]:
    return a_pod(containerStatuses=[{"state": {"waiting": {"reason": reason}}, "restartCount": 0, **more}])


@pytest.mark.parametrize("reason", sorted(rollout.HOPELESS))
def test_what_waiting_does_not_mend_ends_it_early(reason: str) -> None:
    trouble = standing(seen(), waiting(reason)).trouble
    assert trouble and trouble.pod == "p"


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", "ErrImagePull"])
def test_what_may_still_come_is_waited_for(reason: str) -> None:
    assert standing(seen(), waiting(reason)).trouble is None


def test_no_node_is_waited_for_a_while() -> None:
    def unplaced(since: str) -> dict[str, Any]:
        condition = {
            "type": "PodScheduled",
            "reason": "Unschedulable",
            "message": "no",
            "lastTransitionTime": since,
        }
        return a_pod(conditions=[condition])

    assert standing(seen(), unplaced("2026-11-28T10:00:50Z")).trouble is None
    trouble = standing(seen(), unplaced("2026-11-28T10:00:30Z")).trouble
    assert trouble and "no node" in trouble.why


def test_conditions_of_the_generation_before_are_not_believed() -> None:
    late = [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "m"}]
    assert standing(seen(observed=1, conditions=late)).trouble is None
    assert standing(seen(conditions=late)).trouble is not None


def test_a_quota_is_named() -> None:
    held = [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: q"}]
    trouble = standing(seen(conditions=held)).trouble
    assert trouble and "raise the quota" in trouble.fix


@pytest.mark.parametrize(
    ("last", "says"),
    [
        ({"reason": "OOMKilled", "exitCode": 137}, "memory"),
        ({"signal": 9}, "signal 9"),
        ({"exitCode": 3}, "exit code 3"),
        ({"exitCode": 137, "reason": "Error"}, "a probe that failed"),
    ],
)
def test_how_a_container_ended_is_told(last: dict[str, Any], says: str) -> None:
    assert says in rollout.how_ended({"lastState": {"terminated": last}})


# -- what the cluster answers --------------------------------------------------------------------------


def test_a_conflict_names_field_and_manager() -> None:
    cause = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "helm" using apps/v1',
        "field": ".spec.x",
    }
    content = json.dumps({"reason": "Conflict", "details": {"causes": [cause], "kind": "d", "name": "n"}})
    error = refused(409, content.encode(), "PATCH", "/x")
    assert isinstance(error, Conflict)
    assert error.fields == [(".spec.x", "helm")]
    assert "force_conflicts" in error.fix


@pytest.mark.parametrize(("status", "says"), [(403, "does not allow"), (422, "refuses"), (500, "500")])
def test_other_refusals_are_explained(status: int, says: str) -> None:
    error = refused(status, b'{"reason": "R", "message": "m: why"}', "GET", "/a/b")
    assert isinstance(error, ClusterError) and says in error.what
    assert refused(502, b"<html>", "GET", "/").why == "<html>"
