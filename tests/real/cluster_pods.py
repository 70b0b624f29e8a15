"""How a pod of the fake cluster fares: as its image, its command and its wishes say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

READY_SECONDS = 0.25


def is_ready(pod: Object) -> bool:
    return any(
        each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", [])
    )


def said(pod: Object) -> Iterator[tuple[str, str]]:
    for container in pod["status"].get("containerStatuses", ()):
        waiting = container["state"].get("waiting")
        if waiting is None:
            yield "Started", "Started container app"
        elif waiting["reason"] != "ContainerCreating":
            yield "Failed", f"Error: {waiting['reason']}"
    for condition in pod["status"].get("conditions", ()):
        if condition.get("reason") == "Unschedulable":
            yield "FailedScheduling", condition["message"]


def state_of(spec: Object, age: float, made: str) -> Object:
    """How a pod fares: as its image, its command and its wishes say."""
    wanted = spec["containers"][0]
    image, command = wanted["image"], " ".join(wanted.get("command", ()))
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": made}
    if _cpus(wanted) > 100:
        scheduled |= {"status": "False", "reason": "Unschedulable"}
        scheduled["message"] = "0/2 nodes are available: 2 Insufficient cpu."
        return {"phase": "Pending", "conditions": [scheduled]}
    container: Object = {"name": "app", "image": image, "ready": False, "restartCount": 0, "state": {}}
    status: Object = {
        "phase": "Pending",
        "startTime": made,
        "containerStatuses": [container],
        "conditions": [scheduled, {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
    }
    if "no-such-tag" in image:
        _waits(container, "ErrImagePull" if age < 0.3 else "ImagePullBackOff", f"pull of {image} failed")
    elif age < 0.1:
        _waits(container, "ContainerCreating", "")
    elif spec["restartPolicy"] == "Never":
        _once(status, container, command, age)
    else:
        _serves(status, container, command, age)
    return status


def _waits(container: Object, reason: str, message: str) -> None:
    container["state"] = {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def _once(status: Object, container: Object, command: str, age: float) -> None:
    status["phase"], container["state"] = "Running", {"running": {}}
    if age > READY_SECONDS:
        fails = "exit 1" in command
        status["phase"] = "Failed" if fails else "Succeeded"
        container["state"] = {
            "terminated": {"exitCode": int(fails), "reason": "Error" if fails else "Completed"}
        }


def _serves(status: Object, container: Object, command: str, age: float) -> None:
    """``exit 3``: a crash loop; ``late``: ends once it has served; ``sleep 3600`` never answers."""
    status |= {"phase": "Running", "podIP": "10.0.0.1"}
    container["state"] = {"running": {}}
    ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
    if "exit 3" in command and age > 0.2:
        container |= {"restartCount": 1 if age < 0.6 else 2, "lastState": ended}
        if age > 0.35:
            _waits(container, "CrashLoopBackOff", "back-off 10s restarting failed container=app")
    elif "late" in command and age > 2.0:
        container |= {
            "restartCount": 1,
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
        }
    elif age > READY_SECONDS and "sleep 3600" not in command and "exit 3" not in command:
        container["ready"] = True
        status["conditions"][1] = {"type": "Ready", "status": "True"}


def _cpus(container: Object) -> int:
    text = str(container.get("resources", {}).get("requests", {}).get("cpu", "0"))
    if text.endswith("m"):
        return int(text[:-1]) // 1000
    return int(text.removesuffix("k")) * (1000 if text.endswith("k") else 1)
