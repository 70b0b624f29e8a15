"""What the operator declared, validated and complete: the values every other room reads.

These are plain frozen dataclasses without a third-party import, so that ``oatie start`` can have them
from a cache without paying for the schema (`oatie_ops.config.schema`) that validated them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oatie_ops.config import defaults
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


@dataclass(frozen=True)
class AppSettings:
    """The application: an import string (``run``) or any program (``command``); one of them at most."""

    name: str = "app"
    run: str | None = None
    command: tuple[str, ...] | None = None
    socket: str | None = None  # "activation": the program takes LISTEN_FDS
    interface: str = "auto"  # auto | asgi | wsgi
    factory: bool | None = None  # None: found out by calling conventions
    host: str = defaults.APP_HOST
    port: int = defaults.APP_PORT
    workers: int = defaults.APP_WORKERS
    spare: int = 0  # booted workers that do not accept; they replace a dead one at once
    ready: str | None = None  # None: any answer below 500 to GET / counts
    ready_host: str | None = None  # Host header of the probe, for applications that refuse unknown hosts
    ready_timeout_seconds: float = defaults.READY_TIMEOUT_SECONDS
    drain_seconds: float = defaults.DRAIN_SECONDS
    stop_timeout_seconds: float = defaults.STOP_TIMEOUT_SECONDS
    keep_alive_seconds: float = defaults.KEEP_ALIVE_SECONDS
    hang_timeout_seconds: float = defaults.HANG_TIMEOUT_SECONDS  # 0 turns it off
    boot_timeout_seconds: float = defaults.BOOT_TIMEOUT_SECONDS
    max_requests: int = 0  # 0: never recycled for it
    max_rss_bytes: int = 0
    max_age_seconds: float = 0.0
    restart_limit: int = defaults.RESTART_LIMIT
    restart_window_seconds: float = defaults.RESTART_WINDOW_SECONDS
    log_level: str = "info"
    access_log: bool = False
    loop: str = "auto"
    http: str = "auto"
    debug: bool | None = None  # None: the application's own default
    cors_origins: tuple[str, ...] = ()
    cors_credentials: bool | None = None
    allowed_hosts: tuple[str, ...] = ()
    # What a worker gets on top of the environment that it inherits: complete, nothing left to merge.
    env: Mapping[str, str] = field(default_factory=dict)
    # The same names for what came from outside the file, as ``${NAME}``: what may be written to disk.
    env_templates: Mapping[str, str] = field(default_factory=dict)
    # Names in ``env`` whose values come from a store of secrets; with ``hand_over`` in no environment.
    stored: tuple[str, ...] = ()
    hand_over: bool = False
    env_file: str | None = None
    # Of a program behind Caddy: where that is (`oatie_ops.deployment.proxy.caddy.ProxyPlace`).
    front: Mapping[str, Any] | None = None

    @property
    def open_env(self) -> dict[str, str]:
        """What goes into the environment of the application's processes."""
        return {name: value for name, value in self.env.items() if name not in self.secret_env}

    @property
    def secret_env(self) -> dict[str, str]:
        """What its processes are handed over (`oatie_ops.secrets.handover`) instead."""
        return {name: self.env[name] for name in self.stored if self.hand_over}


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
