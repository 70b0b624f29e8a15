"""What an environment brings with it: defaults of the configuration, and variables for the application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from oatie_ops.config.settings import AppSettings
from oatie_ops.records import dataclass

ANY_ADDRESS = "0.0.0.0"


@dataclass(frozen=True)
class Profile:
    """``defaults`` is nested like the file; ``env`` reaches the application as it is."""

    name: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


def _served(**app: Any) -> dict[str, Any]:
    return {"app": {"host": ANY_ADDRESS, "debug": False, "log_level": "info", **app}}


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("local"),
        Profile("development", {"app": {"debug": True, "log_level": "debug", "workers": 1}}),
        Profile(
            "codespaces",
            {
                "app": {
                    "host": ANY_ADDRESS,
                    "port": 8000,
                    "debug": True,
                    "cors_origins": ["*"],
                    "allowed_hosts": ["*"],
                }
            },
        ),
        Profile("staging", _served()),
        Profile("production", _served(workers=4), {"CLOUD_DEPLOYMENT": "true"}),
        Profile("cloud", _served(workers=4), {"CLOUD_DEPLOYMENT": "true"}),
        Profile("docker", _served()),
        Profile(
            "kubernetes",
            _served(),
            {
                "KUBERNETES_DEPLOYMENT": "true",
                "HEALTH_CHECK_ENABLED": "true",
                "DATABASE_URL": "postgresql://postgres:password@postgres-service:5432/oatie_db",
                "REDIS_URL": "redis://redis-service:6379/0",
            },
        ),
    )
}

# Settings that the application gets to know, and under which name.
DERIVED: Mapping[str, str] = {
    "PORT": "port",
    "WORKERS": "workers",
    "LOG_LEVEL": "log_level",
    "DEBUG": "debug",
    "CORS_ORIGINS": "cors_origins",
    "CORS_ALLOW_CREDENTIALS": "cors_credentials",
    "ALLOWED_HOSTS": "allowed_hosts",
}


def app_environment(app: AppSettings, profile: Profile) -> dict[str, str]:
    """The variables that follow from the settings and the profile, before any that are set by name."""
    derived = {name: _text(getattr(app, attribute)) for name, attribute in DERIVED.items()}
    derived["LOG_LEVEL"] = app.log_level.upper()
    return {**profile.env, **{name: text for name, text in derived.items() if text}}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, tuple) else str(value)
