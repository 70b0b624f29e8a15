"""The controllers and kubelets of the fake cluster: what becomes of a Deployment, a Job and their pods.

A Deployment has ReplicaSets, named by the hash of the template, and they have the pods. The conditions come
and stay as those of the real controller do: one that tells of a passed deadline stays until something moves.
"""

from __future__ import annotations

import copy
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from tests.real import cluster_rules
from tests.real.cluster_pods import READY_SECONDS, is_ready, said, state_of
from tests.real.cluster_store import now

if TYPE_CHECKING:
    from tests.real.cluster import FakeCluster

Object = dict[str, Any]
Key = tuple[str, str, str]

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"


class Controllers:
    """`tick` does one round of everything. Called with the lock of the cluster held."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.since: dict[str, float] = {}  # uid of a pod -> when it was made
        self.gone_at: dict[str, float] = {}  # uid of a pod -> when it has ended
        self.progress: dict[str, tuple[Any, float]] = {}  # uid of a Deployment -> what was seen, since when
        self.grace_seconds = 0.2

    def tick(self) -> None:
        for key, each in list(self.cluster.objects.items()):
            if key[1] == "pods":
                self._kubelet(key, each)
            elif key[1] == "deployments":
                self._roll(key, each)
            elif key[1] == "jobs":
                self._work(key, each)
            elif key[1] == "horizontalpodautoscalers":
                self._autoscale(key, each)

    # -- deployments -----------------------------------------------------------------------------------

    def _roll(self, key: Key, deployment: Object) -> None:
        spec, status = deployment["spec"], deployment.setdefault("status", {})
        if spec.get("paused"):
            return
        new = self._replica_set(key, deployment)
        alive = [pod for each in self._owned("replicasets", deployment) for pod in self._pods(each)]
        mine = [pod for pod in alive if _owner(pod) == new["metadata"]["uid"]]
        wanted, refusal = spec["replicas"], ""
        if len(mine) < wanted and len(alive) < wanted + 1:
            refusal = self._refusal(key[0], spec["template"])
            if not refusal:
                self._make_pod(key[0], new, spec["template"])
        available = sum(self._is_available(pod, spec) for pod in alive)
        others = [pod for pod in alive if pod not in mine]
        for pod in [*(each for each in others if not is_ready(each)), *others, *mine[wanted:]]:
            spare = pod in mine or not is_ready(pod) or available > wanted
            if spare and "deletionTimestamp" not in pod["metadata"]:
                available -= self._is_available(pod, spec)
                self.end(pod)
        self._tell(deployment, status, refusal)

    def _tell(self, deployment: Object, status: Object, refusal: str) -> None:
        """The status, as the controller counts: pods that end are no longer counted."""
        spec, uid = deployment["spec"], deployment["metadata"]["uid"]
        alive = [pod for each in self._owned("replicasets", deployment) for pod in self._pods(each)]
        hashed = _hash(spec["template"])
        counts = {
            "replicas": len(alive),
            "updatedReplicas": sum(pod["metadata"]["labels"][HASH] == hashed for pod in alive),
            "readyReplicas": sum(map(is_ready, alive)),
            "availableReplicas": sum(self._is_available(pod, spec) for pod in alive),
        }
        done = all(count == spec["replicas"] for count in counts.values())
        seen, since = self.progress.get(uid, (None, time.monotonic()))
        if seen != counts or done:
            self.progress[uid] = counts, time.monotonic()
        conditions = {each["type"]: each for each in status.get("conditions", ())}
        late = time.monotonic() - since > spec.get("progressDeadlineSeconds", 600)
        before = conditions.get("Progressing", {}).get("reason")
        moved = seen is not None and seen != counts
        if done:
            reason = "NewReplicaSetAvailable"
        elif moved or before is None:
            reason = "ReplicaSetUpdated"
        elif late or before == "ProgressDeadlineExceeded":
            reason = "ProgressDeadlineExceeded"
        else:
            reason = before if before != "NewReplicaSetAvailable" else "ReplicaSetUpdated"
        _condition(conditions, "Progressing", reason != "ProgressDeadlineExceeded", reason, "progress")
        if refusal:
            _condition(conditions, "ReplicaFailure", True, "FailedCreate", refusal)
        else:
            conditions.pop("ReplicaFailure", None)
        status.clear()
        status |= {name: count for name, count in counts.items() if count}  # as Go leaves out what is zero
        status |= {
            "observedGeneration": deployment["metadata"]["generation"],
            "conditions": list(conditions.values()),
        }

    def _replica_set(self, key: Key, deployment: Object) -> Object:
        template = deployment["spec"]["template"]
        hashed = _hash(template)
        name = f"{key[2]}-{hashed}"
        known = self._owned("replicasets", deployment)
        found = next((each for each in known if each["metadata"]["name"] == name), None)
        newest = max((int(each["metadata"]["annotations"][REVISION]) for each in known), default=0)
        if found is None:
            found = self.cluster.add(key[0], "replicasets", "apps/v1", "ReplicaSet", name, deployment)
            found["metadata"]["labels"] = {**template["metadata"]["labels"], HASH: hashed}
            found["metadata"]["annotations"] = {REVISION: str(newest + 1)}
        elif int(found["metadata"]["annotations"][REVISION]) < newest:
            found["metadata"]["annotations"][REVISION] = str(newest + 1)
        revision = found["metadata"]["annotations"][REVISION]
        deployment["metadata"].setdefault("annotations", {})[REVISION] = revision
        return found

    def _refusal(self, namespace: str, template: Object) -> str:
        pods = [key for key in self.cluster.objects if key[:2] == (namespace, "pods")]
        quota = self.cluster.pod_quotas.get(namespace)
        if quota is not None and len(pods) >= quota:
            return f'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods={len(pods)}'
        if namespace in self.cluster.restricted and (why := cluster_rules.restricted(template["spec"])):
            return f'pods "x" is forbidden: {why}'
        return ""

    def _autoscale(self, key: Key, autoscaler: Object) -> None:
        """Not below its minimum, which needs no metrics."""
        place = (key[0], "deployments", autoscaler["spec"]["scaleTargetRef"]["name"])
        wanted, found = autoscaler["spec"]["minReplicas"], self.cluster.objects.get(place)
        if found is not None and 0 < found["spec"]["replicas"] < wanted:
            change = {"spec": {"replicas": wanted}}
            self.cluster.update(place, change, "kube-controller-manager", "scale")

    # -- jobs ------------------------------------------------------------------------------------------

    def _work(self, key: Key, job: Object) -> None:
        pods = self._owned("pods", job)
        if not pods:
            refusal = self._refusal(key[0], job["spec"]["template"])
            if refusal:
                self._event(key[0], "Job", job, "Warning", "FailedCreate", f"Error creating: {refusal}")
                return
            self._make_pod(key[0], job, job["spec"]["template"])
            return
        phase = pods[0]["status"]["phase"]
        if phase in ("Succeeded", "Failed"):
            kind = "Complete" if phase == "Succeeded" else "Failed"
            reason = "CompletionsReached" if phase == "Succeeded" else "BackoffLimitExceeded"
            job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": reason}]}

    # -- pods ------------------------------------------------------------------------------------------

    def _owned(self, plural: str, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        return [
            each for key, each in self.cluster.objects.items() if key[1] == plural and _owner(each) == uid
        ]

    def _pods(self, owner: Object) -> list[Object]:
        """Those that count: neither ended nor on their way out."""
        found = self._owned("pods", owner)
        return [
            each
            for each in found
            if "deletionTimestamp" not in each["metadata"]
            and each["status"].get("phase") not in ("Failed", "Succeeded")
        ]

    def _make_pod(self, namespace: str, owner: Object, template: Object) -> Object:
        name = f"{owner['metadata']['name']}-{self.cluster.serial():05d}"
        pod = self.cluster.add(namespace, "pods", "v1", "Pod", name, owner)
        metadata = template.get("metadata") or {}
        pod["metadata"]["labels"] = dict(metadata.get("labels") or {})
        pod["metadata"]["annotations"] = dict(metadata.get("annotations") or {})
        if owner["kind"] == "ReplicaSet":
            pod["metadata"]["labels"][HASH] = owner["metadata"]["labels"][HASH]
        pod["spec"] = copy.deepcopy(template["spec"])
        pod["status"] = {"phase": "Pending"}
        self.since[pod["metadata"]["uid"]] = time.monotonic()
        return pod

    def end(self, pod: Object) -> None:
        pod["metadata"]["deletionTimestamp"] = now()
        self.gone_at[pod["metadata"]["uid"]] = time.monotonic() + self.grace_seconds

    def evict(self, namespace: str) -> str:
        """As a node does that has no memory left: the pod stays as a record."""
        name, pod = next(
            (key[2], each)
            for key, each in self.cluster.objects.items()
            if key[:2] == (namespace, "pods") and is_ready(each)
        )
        pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"}
        return name

    def _kubelet(self, key: Key, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if time.monotonic() > self.gone_at.get(uid, float("inf")):
            self.cluster.objects.pop(key)
            return
        if "deletionTimestamp" in pod["metadata"] or pod["status"]["phase"] in ("Failed", "Succeeded"):
            return
        if uid not in self.since:
            return
        age = time.monotonic() - self.since[uid]
        pod["status"] = state_of(pod["spec"], age, now(age))
        if pod["status"]["phase"] != "Pending" or pod["status"].get("containerStatuses"):
            pod["spec"]["nodeName"] = "node-1"
        for reason, message in said(pod):
            self._event(key[0], "Pod", pod, "Warning" if reason != "Started" else "Normal", reason, message)

    def _is_available(self, pod: Object, spec: Object) -> bool:
        if not is_ready(pod) or "deletionTimestamp" in pod["metadata"]:
            return False
        ready_for = time.monotonic() - self.since[pod["metadata"]["uid"]] - READY_SECONDS
        return bool(ready_for >= spec.get("minReadySeconds", 0))

    def _event(self, namespace: str, kind: str, about: Object, level: str, reason: str, message: str) -> None:
        name = f"{about['metadata']['name']}.{reason.lower()}"
        known = self.cluster.objects.get((namespace, "events", name))
        if known is None:
            known = self.cluster.add(namespace, "events", "v1", "Event", name, None)
        known |= {
            "involvedObject": {
                "kind": kind,
                "namespace": namespace,
                "name": about["metadata"]["name"],
                "uid": about["metadata"]["uid"],
            },
            "type": level,
            "reason": reason,
            "message": message,
            "lastTimestamp": now(),
            "eventTime": None,
            "count": 2,
        }


def _hash(template: Object) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def _owner(each: Object) -> str:
    owners: list[Object] = each["metadata"].get("ownerReferences") or [{}]
    return str(owners[0].get("uid", ""))


def _condition(known: dict[str, Object], kind: str, true: bool, reason: str, message: str) -> None:
    status = "True" if true else "False"
    old = known.get(kind, {})
    if (old.get("status"), old.get("reason")) != (status, reason):
        known[kind] = {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastUpdateTime": now(),
            "lastTransitionTime": now() if old.get("status") != status else old["lastTransitionTime"],
        }
