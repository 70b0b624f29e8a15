"""From the configuration and a release to what the Engine API takes to make a container. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oatie_ops.config.settings import Settings
from oatie_ops.config.settings_engines import AccessorySettings
from oatie_ops.deployment.containers.durations import healthcheck, nanoseconds
from oatie_ops.supervisor.spec import ReleaseSpec

HANDOVER_PATH = "/run/oatie-secrets.json"
DEFAULT_LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}
READ_ONLY_HOME = "/tmp/.oatie"
NO_RESTART = {"Name": "no"}


@dataclass(frozen=True)
class Made:
    """``config`` is the body of "create a container"; ``files`` are put in before it starts. ``chosen``:
    ports and labels that the operator has named."""

    config: dict[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def digest(self, key: bytes) -> str:
        """Tells whether a container that is kept would be made the same today. Keyed, since environments
        hold secrets and labels are public."""
        files = {path: content.hex() for path, content in self.files.items()}
        text = json.dumps([_without_port(self.config), files, self.chosen], sort_keys=True)
        return hashlib.blake2b(text.encode(), key=key, digest_size=12).hexdigest()


def application(
    settings: Settings, spec: ReleaseSpec, *, labels: Mapping[str, str], network: str, host_port: int
) -> Made:
    """A candidate: no restart policy yet, one published port of the loopback."""
    container = settings.container
    port = container_port(settings)
    assert spec.image is not None, "the image was made before"
    config: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in environment(settings, spec).items()],
        "Labels": {**container.labels, **labels},
        "ExposedPorts": {f"{port}/tcp": {}},
        "StopTimeout": max(1, round(spec.app.stop_timeout_seconds)),
        "HostConfig": {
            "Init": container.init,
            "Binds": list(container.volumes) or None,
            "PortBindings": {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(host_port)}]},
            "RestartPolicy": NO_RESTART,
            "Memory": container.memory_bytes,
            "NanoCpus": nanoseconds(container.cpus),
            "PidsLimit": container.pids or None,
            "ReadonlyRootfs": container.read_only,
            "Tmpfs": {"/tmp": ""} if container.read_only else None,
            "LogConfig": _logs(settings),
            "NetworkMode": network,
        },
        "NetworkingConfig": {"EndpointsConfig": {network: {}}},
    }
    _optional(config, container.user, container.stop_signal, container.healthcheck)
    files = {}
    if spec.app.secret_env:
        files[HANDOVER_PATH] = json.dumps(spec.app.secret_env).encode()
    return Made(config, files)


def environment(settings: Settings, spec: ReleaseSpec) -> dict[str, str]:
    port = str(container_port(settings))
    own = {"PORT": port, "HOST": "0.0.0.0", "OATIE_APP": spec.app.name, "OATIE_RELEASE": spec.name}
    if settings.container.read_only and "OATIE_HOME" not in spec.app.open_env:
        own["OATIE_HOME"] = READ_ONLY_HOME  # an oatie in it keeps its state where it can write
    handed = {"OATIE_SECRETS_FILE": HANDOVER_PATH} if spec.app.secret_env else {}
    return {**spec.app.open_env, **own, **handed}


def container_port(settings: Settings) -> int:
    return settings.container.port or settings.app.port or 8080


def accessory(
    wanted: AccessorySettings, *, image: str, labels: Mapping[str, str], network: str, alias: str
) -> Made:
    ports: dict[str, list[dict[str, str]]] = {}
    for each in wanted.ports:
        host, inner = published(each)
        ports.setdefault(inner, []).append(host)
    config: dict[str, Any] = {
        "Image": image,
        "Env": [f"{name}={value}" for name, value in wanted.env.items()],
        "Labels": {**wanted.labels, **labels},
        "ExposedPorts": {inner: {} for inner in ports},
        "HostConfig": {
            "Init": True,
            "Binds": list(wanted.volumes) or None,
            "PortBindings": ports,
            "RestartPolicy": {"Name": "unless-stopped"},
            "Memory": wanted.memory_bytes,
            "NanoCpus": nanoseconds(wanted.cpus),
            "LogConfig": {"Type": "json-file", "Config": DEFAULT_LOG_OPTIONS},
            "NetworkMode": network,
        },
        "NetworkingConfig": {"EndpointsConfig": {network: {"Aliases": [alias]}}},
    }
    if wanted.command:
        config["Cmd"] = list(wanted.command)
    _optional(config, wanted.user, None, wanted.healthcheck)
    return Made(config, chosen={"ports": ports, "labels": dict(wanted.labels)})


def published(text: str) -> tuple[dict[str, str], str]:
    """``127.0.0.1:5432:5432``, ``5432:5432`` or ``5432``, as Docker writes them."""
    outer, _, inner = text.rpartition(":")
    host, _, port = outer.rpartition(":")
    inner = inner if "/" in inner else f"{inner}/tcp"
    return {"HostIp": host.strip("[]"), "HostPort": port or inner.partition("/")[0]}, inner


def _optional(
    config: dict[str, Any], user: str | None, signal: str | None, test: Mapping[str, Any] | None
) -> None:
    found = {"User": user, "StopSignal": signal, "Healthcheck": healthcheck(test)}
    config.update({name: value for name, value in found.items() if value})


def _logs(settings: Settings) -> dict[str, Any] | None:
    docker = settings.docker
    if docker.log_driver is None and not docker.log_options:
        return {"Type": "json-file", "Config": dict(DEFAULT_LOG_OPTIONS)}
    return {"Type": docker.log_driver or "json-file", "Config": dict(docker.log_options)}


def _without_port(config: Mapping[str, Any]) -> dict[str, Any]:
    """Every container has its own port, and labels that name it."""
    host = {key: value for key, value in config["HostConfig"].items() if key != "PortBindings"}
    return {**{key: value for key, value in config.items() if key != "Labels"}, "HostConfig": host}
