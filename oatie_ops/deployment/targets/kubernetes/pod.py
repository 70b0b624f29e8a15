"""The pod of a release: container, probes, limits, security, and how it leaves without losing one. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from oatie_ops.config.address import is_loopback, listen_address
from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.deployment.targets.kubernetes import names

Object = dict[str, Any]

PROBE_PERIOD_SECONDS = 2
PROBE_TIMEOUT_SECONDS = 2
READY_FAILURES = 3
LIVE_FAILURES = 6
# Time that a pod may take beyond its drain before it is killed.
GRACE_RESERVE_SECONDS = 10
APP_PORT, OPS_PORT = "http", "ops"


@dataclass(frozen=True)
class Release:
    """What is rendered. ``config`` and ``secret`` are names of a ConfigMap and a Secret; empty where none.

    ``checksum`` changes with the variables, so that pods are replaced where only those changed.
    """

    settings: Settings
    app: AppSettings
    name: str
    number: str
    image: str
    config: str = ""
    secret: str = ""
    checksum: str = ""
    sleep_action: bool = True  # whether the cluster knows lifecycle.preStop.sleep (1.30)

    @property
    def labels(self) -> dict[str, str]:
        return names.labels(self.name, self.number)

    @property
    def port(self) -> int:
        return self.settings.container.port or self.settings.app.port


def template(release: Release) -> Object:
    """The pod template of the Deployment."""
    kube = release.settings.kubernetes
    container = {**workload(release), **_probes(release), "ports": _ports(release)}
    if kube.pre_stop_seconds > 0:
        container["lifecycle"] = {"preStop": _pre_stop(release)}
    spec = {
        **_pod_basics(release),
        "containers": [container],
        "terminationGracePeriodSeconds": grace_seconds(release),
        "topologySpreadConstraints": [_spread(release)],
    }
    annotations = {**kube.annotations, names.CHECKSUM: release.checksum}
    return {"metadata": {"labels": release.labels, "annotations": annotations}, "spec": spec}


def job_template(release: Release, job: str, command: str) -> Object:
    """The pod of the Job of that name, which runs a command once; the same image, variables and limits."""
    container = {**workload(release), "command": ["/bin/sh", "-c", _literal(command)]}
    spec = {**_pod_basics(release), "containers": [container], "restartPolicy": "Never"}
    # Without the labels of the Service's selector: it must never get a user's request.
    labels = {names.MANAGED_LABEL: names.MANAGER, names.JOB_LABEL: job}
    return {"metadata": {"labels": labels}, "spec": spec}


def workload(release: Release) -> Object:
    """Image, command, variables and limits of the application's container."""
    settings, app = release.settings, release.app
    container: Object = {
        "name": "app",
        "image": release.image,
        "imagePullPolicy": {"missing": "IfNotPresent", "always": "Always", "never": "Never"}[
            settings.image.pull
        ],
        "env": [{"name": name, "value": _literal(value)} for name, value in _own_variables(release).items()],
        "securityContext": _security(settings.container.user, settings.container.read_only),
    }
    if found := _mounts(settings):
        container["volumeMounts"] = found
    sources = []
    if release.config:
        sources.append({"configMapRef": {"name": release.config}})
    if release.secret:
        sources.append({"secretRef": {"name": release.secret}})
    if sources:
        container["envFrom"] = sources
    if app.command and settings.image.use is not None:
        container["command"] = list(map(_literal, app.command))
    if resources := _resources(settings):
        container["resources"] = resources
    return container


def _own_variables(release: Release) -> dict[str, str]:
    """What every target tells the application. Where nothing but /tmp can be written, an `oatie start` in
    the container keeps its state there."""
    own = {"PORT": str(release.port), "HOST": "0.0.0.0", "OATIE_APP": release.settings.app.name}
    own["OATIE_RELEASE"] = release.number
    if release.settings.container.read_only and "OATIE_HOME" not in release.app.env:
        own["OATIE_HOME"] = "/tmp/.oatie"
    return own


def _literal(text: str) -> str:
    """The kubelet replaces ``$(NAME)`` and makes ``$$`` one ``$``; here as on every target, nobody does."""
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text


def grace_seconds(release: Release) -> int:
    kube, app = release.settings.kubernetes, release.settings.app
    return math.ceil(kube.pre_stop_seconds + app.drain_seconds + GRACE_RESERVE_SECONDS)


def probes_the_ops_api(settings: Settings) -> bool:
    """The kubelet comes from outside the pod: an ops API on loopback is none that it could ask."""
    declared = settings.kubernetes.probes
    listen = listen_address(settings.ops.listen)
    return listen is not None and (declared == "ops" or (declared == "auto" and not is_loopback(listen[0])))


def _pod_basics(release: Release) -> Object:
    settings = release.settings
    kube = settings.kubernetes
    spec: Object = {
        "serviceAccountName": kube.service_account or release.name,
        "automountServiceAccountToken": kube.service_account is not None,
        "securityContext": _pod_security(settings.container.user),
    }
    if volumes := _volumes(settings):
        spec["volumes"] = volumes
    if kube.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in kube.pull_secrets]
    if kube.node_selector:
        spec["nodeSelector"] = dict(kube.node_selector)
    return spec


def _ports(release: Release) -> list[Object]:
    ports = [{"name": APP_PORT, "containerPort": release.port, "protocol": "TCP"}]
    if probes_the_ops_api(release.settings):
        ops = int(release.settings.ops.listen.rpartition(":")[2])
        ports.append({"name": OPS_PORT, "containerPort": ops, "protocol": "TCP"})
    return ports


def _probes(release: Release) -> Object:
    """Startup has the whole ready_timeout; readiness asks what the gate asks; liveness asks no dependency."""
    app = release.app
    tries = max(1, math.ceil(app.ready_timeout_seconds / PROBE_PERIOD_SECONDS))
    if probes_the_ops_api(release.settings):
        start, ready, live = (_get(f"/health/{name}", OPS_PORT) for name in ("startup", "ready", "live"))
    else:
        live = {"tcpSocket": {"port": APP_PORT}}
        start = ready = _get(app.ready, APP_PORT, app.ready_host) if app.ready else live
    return {
        "startupProbe": _probe(start, tries),
        "readinessProbe": _probe(ready, READY_FAILURES),
        "livenessProbe": _probe(live, LIVE_FAILURES),
    }


def _probe(action: Object, failures: int) -> Object:
    return {
        **action,
        "periodSeconds": PROBE_PERIOD_SECONDS,
        "timeoutSeconds": PROBE_TIMEOUT_SECONDS,
        "failureThreshold": failures,
    }


def _get(path: str, port: str, host: str | None = None) -> Object:
    action: Object = {"path": path, "port": port, "scheme": "HTTP"}
    if host:
        action["httpHeaders"] = [{"name": "Host", "value": host}]
    return {"httpGet": action}


def _pre_stop(release: Release) -> Object:
    """Its address is taken out of the Service at the same time as it is told to stop, and not at once."""
    seconds = max(1, math.ceil(release.settings.kubernetes.pre_stop_seconds))
    if release.sleep_action:
        return {"sleep": {"seconds": seconds}}
    return {"exec": {"command": ["sleep", str(seconds)]}}


def _security(user: str | None, read_only: bool) -> Object:
    context: Object = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only,
    }
    if user is not None:
        context["runAsNonRoot"] = not user.startswith("0")
    return context


def _pod_security(user: str | None) -> Object:
    """``user`` is ``uid`` or ``uid:gid``: names are known only inside the image (`look` refuses them)."""
    context: Object = {"seccompProfile": {"type": "RuntimeDefault"}}
    if user is not None:
        uid, _, gid = user.partition(":")
        context["runAsUser"] = int(uid)
        if gid:
            context |= {"runAsGroup": int(gid), "fsGroup": int(gid)}
    return context


def _resources(settings: Settings) -> Object:
    container = settings.container
    limits: Object = {}
    requests: Object = {}
    if container.memory_bytes:
        limits["memory"] = requests["memory"] = str(container.memory_bytes)
    if container.cpus:
        requests["cpu"] = f"{round(container.cpus * 1000)}m"
        limits["cpu"] = requests["cpu"]
    return {"limits": limits, "requests": requests} if limits or requests else {}


def _volumes(settings: Settings) -> list[Object]:
    volumes: list[Object] = []
    for number, (source, _path, _read_only) in enumerate(mounts(settings.container.volumes)):
        if source.startswith("/"):
            volumes.append({"name": f"volume-{number}", "hostPath": {"path": source}})
        else:
            volumes.append({"name": f"volume-{number}", "persistentVolumeClaim": {"claimName": source}})
    if settings.container.read_only:
        volumes.append({"name": "tmp", "emptyDir": {}})
    return volumes


def _mounts(settings: Settings) -> list[Object]:
    found: list[Object] = [
        {"name": f"volume-{number}", "mountPath": path, "readOnly": read_only}
        for number, (_source, path, read_only) in enumerate(mounts(settings.container.volumes))
    ]
    if settings.container.read_only:
        found.append({"name": "tmp", "mountPath": "/tmp"})
    return found


def mounts(volumes: Iterable[str]) -> list[tuple[str, str, bool]]:
    """``name:/path:ro`` as (source, path in the container, read-only)."""
    found = []
    for text in volumes:
        source, _, rest = text.partition(":")
        path, _, mode = rest.partition(":")
        found.append((source, path, mode == "ro"))
    return found


def _spread(release: Release) -> Object:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": names.selector(release.name)},
    }
