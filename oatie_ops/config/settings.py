"""What the operator declared, validated and complete: the values every other room reads.

These are plain frozen dataclasses without a third-party import, so that ``oatie start`` can have them
from a cache without paying for the schema (`oatie_ops.config.schema`) that validated them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from oatie_ops.config import defaults
from oatie_ops.config.settings_app import AppSettings
from oatie_ops.config.settings_engines import (
    AccessorySettings,
    ContainerSettings,
    DockerSettings,
    ImageSettings,
    KubernetesSettings,
    ProxySettings,
    SwarmSettings,
)
from oatie_ops.config.spans import KeyPath
from oatie_ops.records import dataclass

__all__ = [
    "AppSettings",
    "DeploySettings",
    "HistorySettings",
    "LogSettings",
    "OpsSettings",
    "ScaleSettings",
    "ServiceSettings",
    "Settings",
]


@dataclass(frozen=True)
class DeploySettings:
    target: str = "process"
    build: tuple[str, ...] = ()
    build_timeout_seconds: float = defaults.BUILD_TIMEOUT_SECONDS
    release: str | None = None
    release_timeout_seconds: float = defaults.RELEASE_TIMEOUT_SECONDS
    bake_seconds: float = defaults.BAKE_SECONDS
    bake_max_error_ratio: float = defaults.BAKE_MAX_ERROR_RATIO
    keep: int = defaults.KEEP_RELEASES
    shared: tuple[str, ...] = ()  # paths linked into every release instead of copied (data, uploads)
    exclude: tuple[str, ...] = ()  # gitignore patterns on top of .gitignore


@dataclass(frozen=True)
class ServiceSettings:
    """One ``[services.NAME]`` table.

    ``check``, ``breaker``, ``recover`` and ``degrade`` are validated mappings. They keep the names of
    the file, with the defaults filled in; durations are seconds, sizes bytes.
    """

    name: str
    check: Mapping[str, Any] | None = None
    breaker: Mapping[str, Any] | None = None
    recover: tuple[Mapping[str, Any], ...] = ()
    routes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    degrade: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class OpsSettings:
    listen: str = defaults.OPS_LISTEN  # "host:port", "off", or "app": on the application's own port
    token_file: str | None = None
    hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    read_needs_token: bool = False
    tls_certificate: str | None = None
    tls_key: str | None = None
    public_details: bool = False  # readers from elsewhere need no token


@dataclass(frozen=True)
class LogSettings:
    max_bytes: int = defaults.LOG_MAX_BYTES
    keep_files: int = defaults.LOG_KEEP_FILES


@dataclass(frozen=True)
class ScaleSettings:
    """Bounds of ``oatie scale``, and whether the supervisor follows the load within them by itself."""

    min: int = 1
    max: int = defaults.SCALE_MAX
    auto: bool = False
    startup_seconds: float = defaults.SCALE_STARTUP_SECONDS
    budget: float = defaults.SCALE_BUDGET


@dataclass(frozen=True)
class HistorySettings:
    """What is measured once a second, and how long seconds, minutes and hours are kept."""

    measure: bool = True
    fine_seconds: float = defaults.HISTORY_FINE_SECONDS
    medium_seconds: float = defaults.HISTORY_MEDIUM_SECONDS
    coarse_seconds: float = defaults.HISTORY_COARSE_SECONDS
    max_size_bytes: int = defaults.HISTORY_MAX_BYTES


@dataclass(frozen=True)
class Settings:
    """Everything. ``root`` is the checkout, ``file`` the oatie.toml (or pyproject.toml) it came from."""

    root: Path
    file: Path | None = None
    environment: str = "local"
    app: AppSettings = field(default_factory=AppSettings)
    deploy: DeploySettings = field(default_factory=DeploySettings)
    image: ImageSettings = field(default_factory=ImageSettings)
    container: ContainerSettings = field(default_factory=ContainerSettings)
    docker: DockerSettings = field(default_factory=DockerSettings)
    swarm: SwarmSettings = field(default_factory=SwarmSettings)
    kubernetes: KubernetesSettings = field(default_factory=KubernetesSettings)
    proxy: ProxySettings = field(default_factory=ProxySettings)
    accessories: Mapping[str, AccessorySettings] = field(default_factory=dict)
    services: Mapping[str, ServiceSettings] = field(default_factory=dict)
    ops: OpsSettings = field(default_factory=OpsSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    secrets: Mapping[str, Any] = field(default_factory=dict)
    alerts: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    scale: ScaleSettings = field(default_factory=ScaleSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    # Of services, alerts, accessories, switches: where a value came from a store of secrets; its template.
    stored: tuple[tuple[KeyPath, str], ...] = ()
