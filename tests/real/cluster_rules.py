"""What an API server fills in, what it refuses beyond the schemas, and what nobody may change any more."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
Cause = dict[str, str]

MAX_ANNOTATIONS_BYTES = 256 * 1024
_LABEL = re.compile(r"^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
_RFC1123 = re.compile(r"^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$")
_RFC1035 = re.compile(r"^[a-z](?:[-a-z0-9]*[a-z0-9])?$")
_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")

# path -> who has it, for what cannot be changed once it is there
IMMUTABLE = {
    "Deployment": (("spec", "selector"),),
    "Job": (("spec", "template"), ("spec", "selector"), ("spec", "completions")),
    "Service": (("spec", "clusterIP"),),
}


def fill_in(made: Object) -> None:
    """Defaults, as far as they could disturb an apply that does not name them."""
    kind, spec = made["kind"], made.get("spec", {})
    if kind == "Deployment":
        spec.setdefault("replicas", 1)
        _pod(spec["template"]["spec"], "Always")
    elif kind == "Job":
        spec.setdefault("completions", 1)
        spec.setdefault("parallelism", 1)
        _pod(spec["template"]["spec"], "Never")
    elif kind == "Service":
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("clusterIP", "10.96.0.7")
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("sessionAffinity", "None")
        spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec["type"] == "NodePort":
            for number, port in enumerate(spec["ports"]):
                port.setdefault("nodePort", 31000 + number)


def _pod(spec: Object, restart: str) -> None:
    spec.setdefault("restartPolicy", restart)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("securityContext", {})
    if "serviceAccountName" in spec:
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in spec["containers"]:
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe in container:
                container[probe].setdefault("successThreshold", 1)
        for amounts in container.get("resources", {}).values():
            if "cpu" in amounts:
                amounts["cpu"] = _canonical(str(amounts["cpu"]))


def _canonical(cpu: str) -> str:
    milli = (
        int(cpu[:-1])
        if cpu.endswith("m")
        else int(cpu.removesuffix("k")) * (1_000_000 if cpu.endswith("k") else 1000)
    )
    if milli % 1_000_000 == 0:
        return f"{milli // 1_000_000}k"
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def unacceptable(made: Object) -> Iterator[Cause]:
    metadata, kind, spec = made["metadata"], made["kind"], made.get("spec", {})
    name, form = metadata["name"], _RFC1035 if kind == "Service" else _RFC1123
    if len(name) > 63 or not form.match(name):
        yield _cause("metadata.name", f"Invalid value: {name!r}")
    for key, value in (metadata.get("labels") or {}).items():
        if len(value) > 63 or not _LABEL.match(value):
            yield _cause("metadata.labels", f"Invalid value: {key}={value!r}")
    annotations = metadata.get("annotations") or {}
    if sum(len(key) + len(value.encode()) for key, value in annotations.items()) > MAX_ANNOTATIONS_BYTES:
        yield _cause("metadata.annotations", "Too long: may not be more than 262144 bytes")
    for key in made.get("data") or {}:
        if not _KEY.match(key):
            yield _cause("data", f"Invalid value: {key!r}")
    if kind == "Secret":
        yield from _secret(made)
    if kind == "Deployment":
        yield from _deployment(spec)
    if kind in ("Deployment", "Job"):
        yield from _pod_rules(spec["template"]["spec"])


def _secret(made: Object) -> Iterator[Cause]:
    for key, value in (made.get("data") or {}).items():
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            yield _cause(f"data.{key}", "illegal base64 data")


def _deployment(spec: Object) -> Iterator[Cause]:
    labels = spec["template"]["metadata"].get("labels") or {}
    if not spec["selector"]["matchLabels"].items() <= labels.items():
        yield _cause("spec.template.metadata.labels", "Invalid value: `selector` does not match labels")
    if spec.get("progressDeadlineSeconds", 600) <= spec.get("minReadySeconds", 0):
        yield _cause("spec.progressDeadlineSeconds", "Invalid value: must be greater than minReadySeconds")


def _pod_rules(spec: Object) -> Iterator[Cause]:
    volumes = {each["name"] for each in spec.get("volumes", ())}
    for container in spec["containers"]:
        where = f"spec.template.spec.containers[{container['name']}]"
        if not container.get("image"):
            yield _cause(f"{where}.image", "Required value")
        for mount in container.get("volumeMounts", ()):
            if mount["name"] not in volumes:
                yield _cause(f"{where}.volumeMounts", f"Not found: {mount['name']!r}")
        named = {each.get("name") for each in container.get("ports", ())}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            action = container.get(probe, {})
            port = (action.get("httpGet") or action.get("tcpSocket") or {}).get("port")
            if isinstance(port, str) and port not in named:
                yield _cause(f"{where}.{probe}", f"Not found: port {port!r}")
        sleep = (container.get("lifecycle", {}).get("preStop", {}).get("sleep") or {}).get("seconds", 1)
        if not 1 <= sleep <= spec["terminationGracePeriodSeconds"]:
            yield _cause(f"{where}.lifecycle.preStop.sleep", "Invalid value: must be within the grace period")


def changed(before: Object, after: Object) -> Iterator[Cause]:
    for steps in IMMUTABLE.get(after["kind"], ()):
        old, new = _at(before, steps), _at(after, steps)
        if old is not None and old != new:
            yield _cause(".".join(steps), "Invalid value: field is immutable")


def _at(tree: Object, steps: tuple[str, ...]) -> Any:
    found: Any = tree
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def restricted(spec: Object) -> str:
    """Why the Pod Security level "restricted" refuses a pod; empty where it does not."""
    pod, wrong = spec.get("securityContext") or {}, []
    for container in spec["containers"]:
        own = container.get("securityContext") or {}
        if own.get("allowPrivilegeEscalation") is not False:
            wrong.append("allowPrivilegeEscalation != false")
        if "ALL" not in (own.get("capabilities") or {}).get("drop", ()):
            wrong.append("unrestricted capabilities")
        if not (own.get("runAsNonRoot") or pod.get("runAsNonRoot")):
            wrong.append("runAsNonRoot != true")
        if not (own.get("seccompProfile") or pod.get("seccompProfile")):
            wrong.append("seccompProfile")
    return f'violates PodSecurity "restricted:latest": {", ".join(wrong)}' if wrong else ""


def _cause(field: str, message: str) -> Cause:
    return {"reason": "FieldValueInvalid", "field": field, "message": message}
