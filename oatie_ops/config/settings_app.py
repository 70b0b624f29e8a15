"""The ``[app]`` table of `oatie_ops.config.settings`, by itself: a worker needs no other part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from oatie_ops.config import defaults
from oatie_ops.records import dataclass


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
