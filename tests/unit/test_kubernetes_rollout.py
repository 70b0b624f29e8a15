"""Where a rollout stands when the cluster says more than that: old conditions, refusals, pods of before."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from oatie_ops.config.settings import OpsSettings
from oatie_ops.config.settings_engines import ContainerSettings, KubernetesSettings
from oatie_ops.deployment.targets.kubernetes import live, looking, names, pod, rollout
from oatie_ops.deployment.targets.kubernetes.errors import Conflict, refused
from oatie_ops.deployment.targets.kubernetes.live import Deployed
from tests.unit.test_kubernetes_objects import APP, a_pod, container, deployment, release, seen, waiting

AT = "2026-11-28T10:00:00Z"
NOW = rollout.epoch("2026-11-28T10:01:00Z") or 0.0


def passed(said_at: str) -> dict[str, Any]:
    late = {
        "type": "Progressing",
        "reason": "ProgressDeadlineExceeded",
        "message": "m",
        "lastUpdateTime": said_at,
    }
    return seen(conditions=[late])


@pytest.mark.parametrize(
    ("said_at", "believed"), [("2026-11-28T09:59:00Z", False), (AT, False), ("2026-11-28T10:00:30Z", True)]
)
def test_a_deadline_that_passed_before_the_change_says_nothing_about_it(said_at: str, believed: bool) -> None:
    """The condition stays until something moves: an undo, or the next deploy, must not fail for it."""
    found = rollout.evaluate(passed(said_at), [], NOW, 20.0, applied_at=rollout.epoch(AT))
    assert (found.trouble is not None) == believed


@pytest.mark.parametrize(
    ("message", "seconds", "believed"),
    [
        ("failed calling webhook", 5, False),
        ("failed calling webhook", 15, True),
        ("exceeded quota: q", 15, False),
        ("exceeded quota: q", 25, True),
        ('violates PodSecurity "restricted:latest"', 0, True),
    ],
)
def test_a_refusal_may_pass_but_for_that_of_a_security_level(
    message: str, seconds: float, believed: bool
) -> None:
    held = {"type": "ReplicaFailure", "status": "True", "message": message, "lastTransitionTime": AT}
    since = rollout.epoch(AT) or 0.0
    found = rollout.evaluate(seen(conditions=[held]), [], since + seconds, 20.0)
    assert (found.trouble is not None) == believed


def test_a_paused_deployment_is_not_waited_for() -> None:
    paused = seen()
    paused["spec"]["paused"] = True
    paused["metadata"]["name"] = "shop"
    trouble = rollout.evaluate(paused, [], NOW, 20.0).trouble
    assert trouble and "kubectl rollout resume deployment shop" in trouble.fix


def test_only_pods_of_the_template_of_now_count() -> None:
    """A restart keeps the release: the pods that it replaces may be the ones in trouble."""
    template = {"metadata": {"labels": {"a": "1"}, "annotations": {names.RESTARTED: "now"}}}
    now = seen(updatedReplicas=2, availableReplicas=2, replicas=2)
    now["spec"]["template"] = template
    old = waiting("CrashLoopBackOff")
    old["metadata"] |= {
        "labels": {"a": "1", "pod-template-hash": "x"},
        "annotations": {names.RESTARTED: "then"},
    }
    assert rollout.evaluate(now, [old], NOW, 20.0).done
    old["metadata"]["annotations"] = {names.RESTARTED: "now", "of": "a webhook"}
    assert rollout.evaluate(now, [old], NOW, 20.0, template_hash="y").done
    assert rollout.evaluate(now, [old], NOW, 20.0, template_hash="x").trouble is not None
    assert rollout.evaluate(now, [old], NOW, 20.0).trouble is not None


def test_an_evicted_pod_or_one_that_leaves_is_no_trouble() -> None:
    evicted = a_pod(phase="Failed", reason="Evicted")
    leaving = waiting("CrashLoopBackOff")
    leaving["metadata"]["deletionTimestamp"] = AT
    now = seen(updatedReplicas=2, availableReplicas=2, replicas=2)
    assert rollout.evaluate(now, [evicted, leaving], NOW, 20.0).done


def test_what_the_kubelet_tries_again_is_waited_for() -> None:
    again = waiting("CreateContainerConfigError")
    state = again["status"]["containerStatuses"][0]["state"]["waiting"]
    state["message"] = "failed to sync configmap cache: timed out waiting for the condition"
    assert rollout.evaluate(seen(), [again], NOW, 20.0).trouble is None
    state["message"] = 'secret "x" not found'
    assert rollout.evaluate(seen(), [again], NOW, 20.0).trouble is not None


def test_a_container_that_never_ran_is_not_said_to_have_lines() -> None:
    for reason, fix in (("CreateContainerError", "events"), ("CrashLoopBackOff", "lines")):
        trouble = rollout.evaluate(seen(), [waiting(reason)], NOW, 20.0).trouble
        assert trouble is not None and fix in trouble.fix


def test_a_program_that_is_not_there_is_named() -> None:
    last = {"reason": "StartError", "exitCode": 128, "message": 'exec: "nope": executable file not found'}
    assert 'exec: "nope"' in rollout.how_ended({"lastState": {"terminated": last}})


# -- who decides how many pods there are ----------------------------------------------------------------


def managed(*entries: tuple[str, str, dict[str, Any]]) -> Deployed:
    fields = [
        {"manager": name, "operation": operation, "time": AT, "fieldsV1": {"f:spec": spec}}
        for name, operation, spec in entries
    ]
    return Deployed({"metadata": {"name": "shop", "managedFields": fields}, "spec": {"replicas": 2}})


def test_an_owner_of_the_number_is_seen() -> None:
    ours = ("oatie", "Apply", {"f:replicas": {}, "f:template": {}})
    assert not managed(ours).others_decide_replicas
    assert not managed(ours, ("kube-controller-manager", "Update", {"f:template": {}})).others_decide_replicas
    assert managed(ours, ("kubectl", "Update", {"f:replicas": {}})).others_decide_replicas
    assert live.applied_at(managed(ours).object) == rollout.epoch(AT)
    assert live.applied_at({"metadata": {}}) is None


# -- what the API server would read otherwise ------------------------------------------------------------


def test_what_the_kubelet_would_expand_is_kept_as_it_is() -> None:
    command = ("sh", "-c", "echo $(date) $$ $HOME")
    made = release(app=replace(APP, command=command))
    assert container(made)["command"] == ["sh", "-c", "echo $$(date) $$$$ $$HOME"]
    assert container(release(app=replace(APP, command=("echo", "$HOME"))))["command"] == ["echo", "$HOME"]
    template = pod.job_template(release(), "shop-release-7", "echo $(date)")
    assert template["spec"]["containers"][0]["command"] == ["/bin/sh", "-c", "echo $$(date)"]


def test_a_pod_that_leaves_at_once_has_no_hook() -> None:
    assert "lifecycle" not in container(release(kubernetes=KubernetesSettings(pre_stop_seconds=0)))


def test_nothing_empty_is_applied() -> None:
    """An empty list would make us the owner of whatever a webhook or an operator puts into it."""
    made = release(kubernetes=KubernetesSettings(), container=ContainerSettings(), config="", secret="")
    found = deployment(made)["spec"]["template"]["spec"]
    assert "volumes" not in found
    assert not {"volumeMounts", "envFrom", "resources", "args"} & found["containers"][0].keys()


def test_a_read_only_pod_has_somewhere_to_keep_its_state() -> None:
    found = container(release())
    assert {"name": "tmp", "mountPath": "/tmp"} in found["volumeMounts"]
    assert {"name": "OATIE_HOME", "value": "/tmp/.oatie"} in found["env"]


@pytest.mark.parametrize(("name", "wanted"), [("3shop", "app-3shop"), ("9", "app-9"), ("ÄÖ", "app")])
def test_a_name_that_no_service_may_have_is_changed(name: str, wanted: str) -> None:
    assert names.object_name(name) == wanted


def test_names_of_every_object_fit() -> None:
    name = names.object_name("x" * 80)
    assert max(len(f"{name}-release-9999"), len(f"{name}-config-99999")) <= 63


def test_probes_that_nobody_could_answer_are_a_problem() -> None:
    settings = replace(
        release(kubernetes=KubernetesSettings(probes="ops")).settings, ops=OpsSettings(listen="off")
    )
    assert any("probes cannot reach" in each.what for each in looking.declared(settings))
    wide = replace(settings, ops=OpsSettings(listen="0.0.0.0:8000"))
    assert not any("probes cannot reach" in each.what for each in looking.declared(wide))
    auto = replace(wide, kubernetes=KubernetesSettings())
    assert any("which `serve` has to serve" in note for note in looking.notes(auto))


# -- what the API answers, word for word ------------------------------------------------------------------


def test_a_conflict_of_an_apply_names_its_object_by_the_path() -> None:
    said = 'conflict with "kubectl" with subresource "scale" using apps/v1 at 2026-11-28T10:00:00Z'
    cause = {"reason": "FieldManagerConflict", "message": said, "field": ".spec.replicas"}
    body = {"kind": "Status", "reason": "Conflict", "code": 409, "details": {"causes": [cause]}}
    place = "/apis/apps/v1/namespaces/shop/deployments/web"
    error = refused(409, json.dumps(body).encode(), "PATCH", place)
    assert isinstance(error, Conflict)
    assert error.what == "Deployment web is managed by somebody else, too"
    assert error.fields == [(".spec.replicas", "kubectl")]


@pytest.mark.parametrize(
    ("details", "message", "says"),
    [
        ({"causes": [{"reason": "NamespaceTerminating"}]}, "it is being terminated", "being deleted"),
        ({}, 'services "x" is forbidden: exceeded quota: few', "quota"),
        ({}, 'User "me" cannot patch resource "secrets"', "does not allow"),
    ],
)
def test_not_every_403_is_a_missing_right(details: dict[str, Any], message: str, says: str) -> None:
    body = {"reason": "Forbidden", "message": message, "details": details}
    assert says in refused(403, json.dumps(body).encode(), "PATCH", "/api/v1/namespaces/a/services/x").what
