"""The release command as a Job: followed to its end, its output passed on, and taken away again."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from oatie_ops.deployment.commands import CommandFailed, CommandTimedOut
from oatie_ops.deployment.targets.base import Tell
from oatie_ops.deployment.targets.kubernetes import names, rollout
from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.kubernetes.evidence import events_if_any
from oatie_ops.deployment.targets.kubernetes.paths import path, path_of
from oatie_ops.errors import OatieError

POLL_SECONDS = 0.5
GONE_SECONDS = 30.0
TAIL_LINES = 30

Object = dict[str, Any]


def run(  # noqa: PLR0917
    cluster: Cluster,
    job: Object,
    command: str,
    timeout_seconds: float,
    output: Tell,
    unschedulable_seconds: float,
) -> None:
    """Raises `CommandFailed` or `CommandTimedOut`; no Job is left in any case."""
    place = path_of(cluster.namespace, job)
    deadline = time.monotonic() + timeout_seconds
    _remove(cluster, place)
    try:
        cluster.apply(place, job, manager=names.MANAGER, force=True)
        pod = _started(cluster, job["metadata"]["name"], command, deadline, unschedulable_seconds)
        tail = _followed(cluster, pod, output, deadline)
        _judge(cluster, place, command, tail, deadline)
    except BaseException:
        with suppress(OatieError):  # why it failed is what is to be told; the undo removes it, too
            cluster.delete(place)
        raise
    cluster.delete(place)


def _remove(cluster: Cluster, place: str) -> None:
    """One of a run that was killed: the template of a Job cannot be changed, so it has to be gone first."""
    if not cluster.delete(place):
        return
    deadline = time.monotonic() + GONE_SECONDS
    while cluster.get_or_none(place) is not None:
        if time.monotonic() > deadline:
            raise OatieError("the Job of an earlier run does not go away", why=place, fix="remove it by hand")
        time.sleep(POLL_SECONDS)


def _started(cluster: Cluster, job: str, command: str, deadline: float, unschedulable_seconds: float) -> str:
    """The name of its pod, once its container has begun."""
    ends = time.monotonic() + rollout.REFUSED_SECONDS
    while True:
        found = cluster.get(path(cluster.namespace, "Pod"), labelSelector=f"{names.JOB_LABEL}={job}")["items"]
        for pod in found:
            if pod.get("status", {}).get("phase") in ("Running", "Succeeded", "Failed"):
                return str(pod["metadata"]["name"])
            if trouble := rollout.pod_trouble(pod, cluster.now(), unschedulable_seconds):
                raise CommandFailed(
                    f"the release command `{command}` could not start",
                    why=trouble.why,
                    fix=trouble.fix or "see its events above",
                    details=events_if_any(cluster, trouble.pod),
                )
        late = time.monotonic() > deadline
        if not found and (late or time.monotonic() > ends):
            _explain_no_pod(cluster, job, command)
        if late:
            raise _too_late(command, "its pod has not started", events_if_any(cluster, job, "Job"))
        time.sleep(POLL_SECONDS)


def _explain_no_pod(cluster: Cluster, job: str, command: str) -> None:
    """A quota, a Pod Security level or a webhook refuses it: only the events of the Job tell."""
    said = events_if_any(cluster, job, "Job")
    if any("FailedCreate" in line for line in said):
        what = f"the release command `{command}` could not start"
        fix = "see the events of the Job above"
        raise CommandFailed(what, why="the cluster refuses its pod", fix=fix, details=said)


def _followed(cluster: Cluster, pod: str, output: Tell, deadline: float) -> list[str]:
    tail: list[str] = []
    place = path(cluster.namespace, "Pod", pod, "log")
    left = max(1.0, deadline - time.monotonic())
    try:
        for line in cluster.lines(place, read_seconds=left, follow="true", container="app"):
            output(line)
            tail = [*tail, line][-TAIL_LINES:]
            if time.monotonic() > deadline:
                break
    except OatieError as error:
        if time.monotonic() < deadline:  # else it was only silent, and `_judge` tells that it is late
            output(f"its output cannot be followed any more: {error.why or error.what}")
    return tail


def _judge(cluster: Cluster, place: str, command: str, tail: list[str], deadline: float) -> None:
    while True:
        conditions = (cluster.get(place).get("status") or {}).get("conditions") or []
        held = {each["type"]: each for each in conditions if each.get("status") == "True"}
        if "Complete" in held:
            return
        if failed := held.get("Failed"):
            if failed.get("reason") == "DeadlineExceeded":
                raise _too_late(command, "it was still running at its deadline", tail)
            raise CommandFailed(
                f"the release command `{command}` failed",
                why=_how(cluster, place, failed) + ("; its last lines are below" if tail else ""),
                details=tail,
            )
        if time.monotonic() > deadline + GONE_SECONDS:
            raise _too_late(command, "it has not ended", tail)
        time.sleep(POLL_SECONDS)


def _how(cluster: Cluster, place: str, failed: Object) -> str:
    job = place.rpartition("/")[2]
    found = cluster.get(path(cluster.namespace, "Pod"), labelSelector=f"{names.JOB_LABEL}={job}")["items"]
    for pod in found:
        for container in pod.get("status", {}).get("containerStatuses", []):
            if container.get("name") == "app":
                return rollout.how_ended(container)
    return str(failed.get("message") or failed.get("reason"))


def _too_late(command: str, why: str, details: list[str]) -> CommandTimedOut:
    return CommandTimedOut(
        f"the release command `{command}` took too long",
        why=why,
        fix="raise [deploy] release_timeout if it needs that long",
        details=details,
    )
