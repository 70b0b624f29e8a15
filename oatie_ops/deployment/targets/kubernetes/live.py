"""What is in the cluster now: the Deployment with its records, and the pods. Reading; nothing is changed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from oatie_ops.config.settings_engines import KubernetesSettings
from oatie_ops.deployment.targets.base import Running
from oatie_ops.deployment.targets.engine import Replica
from oatie_ops.deployment.targets.kubernetes import names, rollout
from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.kubernetes.errors import ClusterError
from oatie_ops.deployment.targets.kubernetes.paths import path

Object = dict[str, Any]


@dataclass(frozen=True)
class Deployed:
    """The Deployment as it is. ``applied`` is the record of the last apply as JSON; empty without one."""

    object: Object

    @property
    def annotations(self) -> dict[str, str]:
        return dict(self.object["metadata"].get("annotations") or {})

    @property
    def applied(self) -> str:
        return self.annotations.get(names.APPLIED, "")

    @property
    def before(self) -> str:
        return self.annotations.get(names.BEFORE, "")

    @property
    def objects(self) -> list[Object]:
        found: list[Object] = json.loads(self.applied) if self.applied else []
        return found

    @property
    def release(self) -> str:
        template = self.object["spec"]["template"]["metadata"]
        return str((template.get("labels") or {}).get(names.RELEASE_LABEL, ""))

    @property
    def replicas(self) -> int:
        return int(self.object["spec"].get("replicas", 1))

    @property
    def recorded_replicas(self) -> int | None:
        """As they were applied last; None without a record."""
        found = (each for each in self.objects if each["kind"] == "Deployment")
        return next((int(each["spec"]["replicas"]) for each in found), None)

    @property
    def is_ours(self) -> bool:
        return is_ours(self.object)

    @property
    def others_decide_replicas(self) -> bool:
        """Somebody else, such as an autoscaler or ``kubectl scale``, is an owner of ``spec.replicas``."""
        return any(
            "f:replicas" in ((each.get("fieldsV1") or {}).get("f:spec") or {})
            for each in self.object["metadata"].get("managedFields") or []
            if not _is_our_apply(each)
        )


def wanted_replicas(now: Deployed | None, kubernetes: KubernetesSettings) -> int:
    """What somebody scaled to stays until oatie.toml says another number; an autoscaler decides alone."""
    scale = kubernetes.autoscale
    if now is None or now.replicas == 0:
        return int(scale["min"]) if scale else kubernetes.replicas
    unchanged = now.annotations.get(names.CONFIGURED) == str(kubernetes.replicas)
    return now.replicas if unchanged or scale else kubernetes.replicas


def is_ours(found: Object) -> bool:
    """Made by oatie, as its label tells."""
    return (found["metadata"].get("labels") or {}).get(names.MANAGED_LABEL) == names.MANAGER


def _is_our_apply(entry: Object) -> bool:
    return entry.get("manager") == names.MANAGER and entry.get("operation") == "Apply"


def applied_at(found: Object) -> float | None:
    """When our last apply changed it, in epoch seconds of the cluster."""
    entries = found["metadata"].get("managedFields") or []
    return next((rollout.epoch(each.get("time")) for each in entries if _is_our_apply(each)), None)


def template_hash(cluster: Cluster, name: str, deployment: Object) -> str:
    """By which the pods of now are known; empty where there is no ReplicaSet yet, or it may not be seen."""
    try:
        place = path(cluster.namespace, "ReplicaSet")
        found = cluster.get(place, labelSelector=names.selector_text(name))["items"]
    except ClusterError as error:
        if error.status == 403:
            return ""
        raise
    uid, revision = deployment["metadata"].get("uid"), _revision(deployment)
    for each in found:
        owners = each["metadata"].get("ownerReferences") or ()
        if revision and _revision(each) == revision and any(owner.get("uid") == uid for owner in owners):
            return str((each["metadata"].get("labels") or {}).get(rollout.HASH_LABEL, ""))
    return ""


def _revision(found: Object) -> str:
    return str((found["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", ""))


def deployed(cluster: Cluster, name: str) -> Deployed | None:
    found = cluster.get_or_none(path(cluster.namespace, "Deployment", name))
    return None if found is None else Deployed(found)


def pods(cluster: Cluster, name: str, release: str | None = None) -> list[Object]:
    """Those that are not on their way out come first, the newest of them first."""
    selector = names.selector_text(name, release)
    found = cluster.get(path(cluster.namespace, "Pod"), labelSelector=selector)["items"]
    return sorted(found, key=lambda pod: (_leaving(pod), _newest_first(pod)))


def running(cluster: Cluster, name: str) -> Running | None:
    """What users get is what is ready; during a rollout that is the release with more ready pods."""
    now = deployed(cluster, name)
    if now is None:
        return None
    found = pods(cluster, name)
    ready = Counter(release_of(pod) for pod in found if rollout.is_ready(pod) and not _leaving(pod))
    release = now.release if ready.get(now.release) or not ready else ready.most_common(1)[0][0]
    state = "running" if sum(ready.values()) >= now.replicas and ready.get(now.release) else "degraded"
    if not ready:
        state = "starting" if now.replicas else "stopping"
    return Running(
        supervisor_pid=0,
        release=release or None,
        state=state,
        app_url=address(cluster, name),
        ops_url=None,
        serving_workers=sum(ready.values()),
        worker_releases=frozenset(map(release_of, found)),
        serving_releases=frozenset(ready),
    )


def address(cluster: Cluster, name: str) -> str | None:
    """Of the Ingress, else of the Service as pods reach it."""
    # An account that may not look there has made none.
    ingress = cluster.get_if_allowed(path(cluster.namespace, "Ingress", name))
    if ingress is not None:
        spec = ingress["spec"]
        return f"{'https' if spec.get('tls') else 'http'}://{spec['rules'][0].get('host', '')}"
    service = cluster.get_if_allowed(path(cluster.namespace, "Service", name))
    if service is None:
        return None
    return f"http://{name}.{cluster.namespace}:{service['spec']['ports'][0]['port']}"


def replica(pod: Object) -> Replica:
    status, metadata = pod.get("status", {}), pod["metadata"]
    ready = rollout.is_ready(pod)
    containers = status.get("containerStatuses") or [{}]
    restarts = sum(int(each.get("restartCount", 0)) for each in containers)
    trouble = rollout.pod_trouble(pod, float("inf"), 0.0)
    return Replica(
        id=short(metadata["name"]),
        name=metadata["name"],
        release=release_of(pod),
        state=_state(pod, ready, trouble is not None),
        healthy=ready,
        node=str(pod.get("spec", {}).get("nodeName", "")),
        address=str(status.get("podIP", "")),
        started_at=rollout.epoch(status.get("startTime")),
        restarts=restarts,
        detail=trouble.why if trouble and not ready else "",
    )


def short(pod_name: str) -> str:
    """The last part, which tells the pods of one ReplicaSet apart."""
    return pod_name.rpartition("-")[2]


def called(pod: Object) -> set[str]:
    name = pod["metadata"]["name"]
    return {name, short(name)}


def release_of(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(names.RELEASE_LABEL, ""))


def _state(pod: Object, ready: bool, in_trouble: bool) -> str:
    if _leaving(pod):
        return "draining"
    if ready:
        return "serving"
    if pod.get("status", {}).get("phase") in ("Failed", "Succeeded"):
        return "stopped"
    return "failed" if in_trouble else "starting"


def _leaving(pod: Object) -> bool:
    return rollout.is_leaving(pod)


def _newest_first(pod: Object) -> float:
    return -(rollout.epoch(pod["metadata"].get("creationTimestamp")) or 0.0)
