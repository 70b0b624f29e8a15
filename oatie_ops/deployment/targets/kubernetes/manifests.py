"""Every object of a release, from oatie.toml. Pure; `oatie deploy --dry-run -o yaml` prints exactly these."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from oatie_ops.deployment.targets.kubernetes import names
from oatie_ops.deployment.targets.kubernetes.pod import APP_PORT, Release, job_template, template

Object = dict[str, Any]

HISTORY = 10
# What the rollout may take for one pod beyond the time it has to become ready.
PROGRESS_RESERVE_SECONDS = 60
JOB_KEPT_SECONDS = 600


def config_objects(release: Release, plain: Mapping[str, str], secret: Mapping[str, str]) -> list[Object]:
    """Service account, ConfigMap and Secret. The two belong to one release, so that a pod of an earlier one,
    and an undo to it, finds its own."""
    found = []
    if release.settings.kubernetes.service_account is None:
        account = _object("v1", "ServiceAccount", release.name, release)
        found.append(account | {"automountServiceAccountToken": False})
    if plain:
        found.append(_object("v1", "ConfigMap", release.config, release) | {"data": dict(plain)})
    if secret:
        made = _object("v1", "Secret", release.secret, release)
        data = {name: b64encode(value.encode()).decode() for name, value in secret.items()}
        found.append(made | {"type": "Opaque", "data": data})
    return found


def shown_secret(release: Release, templates: Mapping[str, str]) -> Object:
    """The Secret as it may be printed: with where each value comes from, never with the value."""
    made = _object("v1", "Secret", release.secret, release)
    return made | {"type": "Opaque", "stringData": dict(templates)}


def objects(release: Release, replicas: int) -> list[Object]:
    """What serves: Deployment, Service, PodDisruptionBudget, and what was asked for beyond them."""
    kube = release.settings.kubernetes
    found = [_deployment(release, replicas), _service(release), _budget(release)]
    if kube.autoscale is not None:
        found.append(_autoscaler(release))
    if kube.ingress is not None:
        found.append(_ingress(release))
    return found


def job(release: Release, command: str, timeout_seconds: float) -> Object:
    """The release command: once, no second try."""
    name = f"{release.name}-release-{release.number}"
    made = _object("batch/v1", "Job", name, release)
    spec = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": max(1, math.ceil(timeout_seconds)),
        "ttlSecondsAfterFinished": JOB_KEPT_SECONDS,
        "template": job_template(release, name, command),
    }
    return made | {"spec": spec}


def as_yaml(found: Iterable[Object]) -> str:
    """A stream of documents. Raises ImportError without PyYAML, which comes with the extra."""
    import yaml

    # A copy by way of JSON shares no part with another, which YAML would show as an anchor and an alias.
    plain = (json.loads(json.dumps(each)) for each in found)
    return "---\n".join(yaml.safe_dump(each, sort_keys=False, allow_unicode=True) for each in plain)


def in_namespace(found: Iterable[Object], namespace: str | None) -> list[Object]:
    """For whoever applies them by hand; the API takes the namespace from the path."""
    if namespace is None:
        return list(found)
    return [each | {"metadata": {**each["metadata"], "namespace": namespace}} for each in found]


def annotated(
    found: list[Object], before: str, configured: str, other: Mapping[str, str] | None = None
) -> list[Object]:
    """The Deployment records what is applied, what that replaces (``before``; may be empty), and how many
    replicas oatie.toml asked for."""
    record = json.dumps(found, separators=(",", ":"))
    more = {names.APPLIED: record, names.CONFIGURED: configured, **(other or {})}
    more |= {names.BEFORE: before} if before else {}
    return [_with_annotations(each, more) if each["kind"] == "Deployment" else each for each in found]


def with_replicas(found: Iterable[Object], replicas: int) -> list[Object]:
    return [
        each | {"spec": {**each["spec"], "replicas": replicas}} if each["kind"] == "Deployment" else each
        for each in found
    ]


def without_replicas(deployment: Object) -> Object:
    """For a Deployment whose number of pods somebody else decides: it stays as it is."""
    return deployment | {"spec": {k: v for k, v in deployment["spec"].items() if k != "replicas"}}


def as_it_is(made: Object, there: Object) -> Object:
    """The object in the cluster that has the place of ``made``, as one that can be applied again."""
    labels = there["metadata"].get("labels") or {}
    metadata = {"name": there["metadata"]["name"], "labels": labels}
    return {key: made[key] for key in ("apiVersion", "kind")} | {"metadata": metadata, "spec": there["spec"]}


def restarted(found: Iterable[Object], at: str) -> list[Object]:
    """A pod template that differs by a time only: the engine replaces the pods one after the other."""
    return [_restarted(each, at) if each["kind"] == "Deployment" else each for each in found]


def _restarted(deployment: Object, at: str) -> Object:
    spec = deployment["spec"]
    return deployment | {
        "spec": {**spec, "template": _with_annotations(spec["template"], {names.RESTARTED: at})}
    }


def _with_annotations(each: Object, more: Mapping[str, str]) -> Object:
    metadata = each["metadata"]
    return each | {"metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **more}}}


def _object(version: str, kind: str, name: str, release: Release) -> Object:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "labels": release.labels},
    }


def _deployment(release: Release, replicas: int) -> Object:
    app, kube = release.app, release.settings.kubernetes
    made = _object("apps/v1", "Deployment", release.name, release)
    return made | {
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": names.selector(release.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "minReadySeconds": math.ceil(kube.min_ready_seconds),
            "progressDeadlineSeconds": math.ceil(
                app.ready_timeout_seconds + kube.min_ready_seconds + PROGRESS_RESERVE_SECONDS
            ),
            "revisionHistoryLimit": HISTORY,
            "template": template(release),
        }
    }


def _service(release: Release) -> Object:
    kube = release.settings.kubernetes
    port: Object = {
        "name": APP_PORT,
        "port": release.settings.app.port,
        "targetPort": APP_PORT,
        "protocol": "TCP",
    }
    if kube.node_port is not None:
        port["nodePort"] = kube.node_port
    spec = {"type": kube.service_type, "selector": names.selector(release.name), "ports": [port]}
    return _object("v1", "Service", release.name, release) | {"spec": spec}


def _budget(release: Release) -> Object:
    """One pod at a time may be taken away: also with a single pod, so that a node can still be drained."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": names.selector(release.name)}}
    return _object("policy/v1", "PodDisruptionBudget", release.name, release) | {"spec": spec}


def _autoscaler(release: Release) -> Object:
    wanted = release.settings.kubernetes.autoscale or {}
    target = {"type": "Utilization", "averageUtilization": int(wanted["cpu"])}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": release.name},
        "minReplicas": int(wanted["min"]),
        "maxReplicas": int(wanted["max"]),
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    return _object("autoscaling/v2", "HorizontalPodAutoscaler", release.name, release) | {"spec": spec}


def _ingress(release: Release) -> Object:
    wanted = release.settings.kubernetes.ingress or {}
    backend = {"service": {"name": release.name, "port": {"name": APP_PORT}}}
    path = {"path": wanted.get("path") or "/", "pathType": "Prefix", "backend": backend}
    spec: Object = {"rules": [{"host": wanted["host"], "http": {"paths": [path]}}]}
    if wanted.get("class_name"):
        spec["ingressClassName"] = wanted["class_name"]
    if wanted.get("tls_secret"):
        spec["tls"] = [{"hosts": [wanted["host"]], "secretName": wanted["tls_secret"]}]
    return _object("networking.k8s.io/v1", "Ingress", release.name, release) | {"spec": spec}
