"""Where a rollout stands, from the Deployment and the pods of the release. Pure.

The rules of ``kubectl rollout status`` for the end, and more of them for an early one: a pod that cannot be
placed, pulled, made or kept alive will not become ready by waiting for ``progressDeadlineSeconds``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Object = dict[str, Any]

# Reasons of a waiting container that waiting does not mend.
HOPELESS = {
    "ImagePullBackOff": "its image cannot be pulled",
    "InvalidImageName": "the name of its image is not valid",
    "ErrImageNeverPull": "its image is not on the node, and must not be pulled",
    "CreateContainerConfigError": "its container cannot be configured",
    "CreateContainerError": "its container cannot be created",
    "RunContainerError": "its container cannot be started",
    "CrashLoopBackOff": "its container ends again and again",
}
HASH_LABEL = "pod-template-hash"
MAX_RESTARTS = 2
KILLED = (137, 143)  # 128 and the number of SIGKILL, of SIGTERM
# A pod may be refused for a moment: a quota holds pods that still drain, a webhook restarts.
REFUSED_SECONDS = 10.0
# A container that waited too long for its variables, or its runtime, is tried again by the kubelet.
_PASSING = re.compile("timed out waiting|deadline exceeded", re.IGNORECASE)
# What an image's own end does not explain; its message does.
_NOT_STARTED = ("StartError", "ContainerCannotRun")


@dataclass(frozen=True)
class Trouble:
    """``pod`` is empty where it is the Deployment's own."""

    pod: str
    why: str
    fix: str = ""
    restarted: bool = False


@dataclass(frozen=True)
class Standing:
    """``done``: every pod is of the release and ready, and none of another one is left."""

    done: bool
    waiting: str
    trouble: Trouble | None = None


def evaluate(
    deployment: Object,
    pods: Sequence[Object],
    now: float,
    unschedulable_seconds: float,
    *,
    applied_at: float | None = None,
    template_hash: str = "",
) -> Standing:
    """``pods`` are those of the release; what is left of an earlier template of it does not count.

    ``now`` is epoch seconds by the clock of the cluster, ``applied_at`` when the Deployment was changed,
    ``template_hash`` that of the ReplicaSet of now; empty where it is not known.
    """
    if not _is_observed(deployment) and not deployment["spec"].get("paused"):
        return Standing(False, "the cluster has not looked at the change yet")
    pods = [pod for pod in pods if counts(pod, deployment, template_hash)]
    if trouble := _deployment_trouble(deployment, now, unschedulable_seconds, applied_at):
        return Standing(False, trouble.why, _blamed(trouble, pods))
    for pod in pods:
        if trouble := pod_trouble(pod, now, unschedulable_seconds):
            return Standing(False, trouble.why, trouble)
    return _progress(deployment)


def _is_observed(deployment: Object) -> bool:
    """Else its conditions, and the pods that there are, tell of the generation before."""
    observed = (deployment.get("status") or {}).get("observedGeneration", 0)
    return bool(observed >= deployment["metadata"].get("generation", 0))


def counts(pod: Object, deployment: Object, template_hash: str = "") -> bool:
    """Of the template of now, and neither on its way out nor ended: an evicted pod stays as a record, and
    another one takes its place."""
    if is_leaving(pod) or pod.get("status", {}).get("phase") in ("Failed", "Succeeded"):
        return False
    wanted, found = deployment["spec"].get("template", {}).get("metadata", {}), pod["metadata"]
    if template_hash and (found.get("labels") or {}).get(HASH_LABEL) != template_hash:
        return False
    return all(
        (wanted.get(kind) or {}).items() <= (found.get(kind) or {}).items()
        for kind in ("labels", "annotations")
    )


def _progress(deployment: Object) -> Standing:
    spec, status = deployment["spec"], deployment.get("status", {})
    wanted = spec.get("replicas", 1)
    updated, ready = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    total = status.get("replicas", 0)
    if updated < wanted:
        return Standing(False, f"{updated} of {wanted} pods are of the new release")
    if total > updated:
        return Standing(False, f"{total - updated} old pods are still there")
    if ready < updated:
        return Standing(False, f"{ready} of {updated} new pods are ready")
    return Standing(True, f"{ready} of {wanted} pods are ready")


def _deployment_trouble(
    deployment: Object, now: float, quota_seconds: float, applied_at: float | None
) -> Trouble | None:
    metadata, status = deployment["metadata"], deployment.get("status", {})
    if deployment["spec"].get("paused"):
        return Trouble(
            "", "the Deployment is paused", f"`kubectl rollout resume deployment {metadata['name']}`"
        )
    for condition in status.get("conditions", []):
        kind, reason = condition.get("type"), condition.get("reason")
        if kind == "ReplicaFailure" and condition.get("status") == "True":
            since = epoch(condition.get("lastTransitionTime"))
            if since is None or now - since >= _patience(condition, quota_seconds):
                return Trouble("", f"no pod can be made: {condition.get('message')}", _quota_fix(condition))
        if kind == "Progressing" and reason == "ProgressDeadlineExceeded":
            # It stays until something moves: the one of a rollout before says nothing about this one.
            said_at = epoch(condition.get("lastUpdateTime"))
            if said_at is None or applied_at is None or said_at > applied_at:
                return Trouble("", f"it made no progress in time: {condition.get('message')}")
    return None


def _patience(condition: Object, quota_seconds: float) -> float:
    message = str(condition.get("message"))
    if "PodSecurity" in message:
        return 0.0
    return quota_seconds if "exceeded quota" in message else REFUSED_SECONDS


def _quota_fix(condition: Object) -> str:
    message = str(condition.get("message"))
    if "exceeded quota" in message:
        return "raise the quota of the namespace, or ask for less in [container]"
    if "PodSecurity" in message:
        return 'the level asks for more: most often for user = "UID:GID", in numbers, in [container]'
    return ""


def _blamed(trouble: Trouble, pods: Iterable[Object]) -> Trouble:
    """The Deployment only says that there is no progress; a pod that is not ready says why."""
    for pod in pods:
        if not is_ready(pod):
            return Trouble(pod["metadata"]["name"], trouble.why, trouble.fix, restarts(pod) > 0)
    return trouble


def pod_trouble(pod: Object, now: float, unschedulable_seconds: float) -> Trouble | None:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in HOPELESS and not _PASSING.search(str(waiting.get("message"))):
            reason = waiting["reason"]
            return Trouble(
                name, f"{HOPELESS[reason]}: {_said(waiting, container)}", _fix(reason), _ended(container)
            )
        times = container.get("restartCount", 0)
        if times >= MAX_RESTARTS and not container.get("ready"):
            return Trouble(
                name,
                f"its container ends again and again ({times} times): {how_ended(container)}",
                _fix("CrashLoopBackOff"),
                True,
            )
    if status.get("phase") == "Failed":
        return Trouble(
            name, f"it failed: {status.get('reason') or status.get('message') or 'without a reason'}"
        )
    return _unplaced(pod, name, now, unschedulable_seconds)


def _unplaced(pod: Object, name: str, now: float, patience_seconds: float) -> Trouble | None:
    for condition in pod.get("status", {}).get("conditions", []):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            since = epoch(condition.get("lastTransitionTime")) or epoch(
                pod["metadata"].get("creationTimestamp")
            )
            if since is not None and now - since >= patience_seconds:
                fix = (
                    "ask for less in [container], free or add a node, or raise unschedulable in [kubernetes] "
                    "where nodes are added on demand"
                )
                return Trouble(name, f"no node can take it: {condition.get('message')}", fix)
    return None


def _said(waiting: Object, container: Object) -> str:
    if waiting["reason"] == "CrashLoopBackOff":
        return how_ended(container)
    return str(waiting.get("message") or waiting["reason"])


def _fix(reason: str) -> str:
    if reason in ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
        return "see that the image exists under that name, and that pull_secrets in [kubernetes] may read it"
    if reason == "CreateContainerConfigError":
        return (
            'set user = "UID:GID", in numbers, in [container] where its user is what is wrong; see its events'
        )
    if reason in ("CreateContainerError", "RunContainerError"):
        return "its events tell more"  # it has not run: there are no lines
    return "its last lines tell more"


def _ended(container: Object) -> bool:
    """It has an end to tell of: at the first one, nothing was restarted yet."""
    return int(container.get("restartCount", 0)) > 0 or bool(
        (container.get("lastState") or {}).get("terminated")
    )


def how_ended(container: Object) -> str:
    """Exit code, signal or lack of memory of the last end."""
    last = (container.get("lastState") or {}).get("terminated") or (container.get("state") or {}).get(
        "terminated"
    )
    if not last:
        return "how it ended is not known"
    if last.get("reason") == "OOMKilled":
        return "it was killed for its memory (OOMKilled); raise memory in [container]"
    if last.get("reason") in _NOT_STARTED and last.get("message"):
        return f"it could not start: {' '.join(str(last['message']).split())}"
    if last.get("signal"):
        return f"signal {last['signal']}"
    if last.get("exitCode") in KILLED:
        return f"exit code {last['exitCode']}: it was killed, most often for a probe that failed"
    return f"exit code {last.get('exitCode')}"


def is_leaving(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def restarts(pod: Object) -> int:
    return sum(
        int(each.get("restartCount", 0)) for each in pod.get("status", {}).get("containerStatuses", [])
    )


def epoch(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None
