"""What the operator declared for engines of containers: the image, the container, the engine, the proxy.

Durations are seconds, sizes bytes. Plain frozen dataclasses, as in `oatie_ops.config.settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from oatie_ops.config import defaults
from oatie_ops.records import dataclass


@dataclass(frozen=True)
class ImageSettings:
    """``use`` is a ready image; otherwise one is built from ``dockerfile`` in ``context``."""

    use: str | None = None
    dockerfile: str = "Dockerfile"
    context: str = "."
    stage: str | None = None
    args: Mapping[str, str] = field(default_factory=dict)
    repository: str | None = None  # also where it is pushed, with ``push``
    push: bool = False
    pull: str = "missing"  # missing | always | never


@dataclass(frozen=True)
class ContainerSettings:
    """One container of the application, on any engine. ``port`` None: that of the application."""

    port: int | None = None
    memory_bytes: int = 0
    cpus: float = 0.0
    pids: int = 0
    user: str | None = None
    read_only: bool = False
    init: bool = True
    stop_signal: str | None = None
    healthcheck: Mapping[str, Any] | None = None  # test, interval, timeout, retries, start_period
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DockerSettings:
    """``host`` None: DOCKER_HOST or the engine of this machine."""

    host: str | None = None
    replicas: int = 1
    restart: str = "unless-stopped"
    log_driver: str | None = None
    log_options: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    accessory_timeout_seconds: float = defaults.ACCESSORY_TIMEOUT_SECONDS


@dataclass(frozen=True)
class SwarmSettings:
    host: str | None = None
    replicas: int = 2
    constraints: tuple[str, ...] = ()
    configs: Mapping[str, str] = field(default_factory=dict)  # path in the container -> file of the checkout
    networks: tuple[str, ...] = ()
    endpoint_mode: str = "vip"
    publish: str = "ingress"  # ingress | host | none
    parallelism: int = 1
    monitor_seconds: float | None = None  # None: from the healthcheck
    timeout_seconds: float = defaults.ROLLOUT_TIMEOUT_SECONDS
    registry_auth: bool = False
    engines: Mapping[str, str] = field(default_factory=dict)  # host name of a node -> address of its engine


@dataclass(frozen=True)
class KubernetesSettings:
    """``context`` None: the current one of the kubeconfig, or that of the pod this runs in."""

    context: str | None = None
    kubeconfig: str | None = None
    namespace: str | None = None
    replicas: int = 2
    timeout_seconds: float = defaults.ROLLOUT_TIMEOUT_SECONDS
    unschedulable_seconds: float = 20.0
    pre_stop_seconds: float = 5.0
    min_ready_seconds: float = 2.0
    probes: str = "auto"  # auto | app | ops
    service_account: str | None = None
    pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    service_type: str = "ClusterIP"
    node_port: int | None = None
    ingress: Mapping[str, Any] | None = None  # host, class_name, tls_secret, path
    autoscale: Mapping[str, Any] | None = None  # min, max, cpu
    force_conflicts: bool = False


@dataclass(frozen=True)
class ProxySettings:
    """Caddy in front. ``enabled`` None: where the target has no other way to switch without a gap."""

    enabled: bool | None = None
    admin: str = defaults.PROXY_ADMIN
    image: str | None = None
    hosts: tuple[str, ...] = ()
    tls: str = "auto"  # auto | internal | off | files (certificate, key)
    acme_ca: str | None = None
    acme_ca_root: str | None = None
    certificate: str | None = None
    key: str | None = None
    switch_directory: str | None = None


@dataclass(frozen=True)
class AccessorySettings:
    """A container that the application needs, such as a database. No deploy of the application touches it."""

    image: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    healthcheck: Mapping[str, Any] | None = None
    memory_bytes: int = 0
    cpus: float = 0.0
    user: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
