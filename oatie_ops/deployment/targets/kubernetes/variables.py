"""Which variables of the application go into the ConfigMap, and which into the Secret. Pure."""

from __future__ import annotations

from oatie_ops.config.sensitive import looks_secret
from oatie_ops.config.settings import AppSettings

# The pod has its own.
OWN = {"PORT", "HOST", "OATIE_APP", "OATIE_RELEASE"}


def split(app: AppSettings) -> tuple[dict[str, str], dict[str, str]]:
    """Plain ones and secret ones: from a store, from outside the file, or with the looks of a secret."""
    plain: dict[str, str] = {}
    secret: dict[str, str] = {}
    for name, value in app.env.items():
        if name in OWN:
            continue
        hidden = name in app.stored or name in app.env_templates or looks_secret(name, value)
        (secret if hidden else plain)[name] = value
    return plain, secret


def shown(app: AppSettings, secret: dict[str, str]) -> dict[str, str]:
    """The secret ones as they may be printed: the template that the value comes from, never the value."""
    return {name: app.env_templates.get(name, "***") for name in secret}
