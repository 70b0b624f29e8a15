"""How the settings that a release brings differ from those of today's configuration. Pure."""

from __future__ import annotations

from dataclasses import fields

from oatie_ops.config.settings import AppSettings

# Where and how wide a release runs is today's; the environment is compared by what the file itself says.
# (a proxy in front is made when the project runs, and stands in no file).
_LIVE = frozenset({"host", "port", "workers", "front"})
_LIVE_VARIABLES = frozenset({"PORT", "WORKERS"})
_ENVIRONMENT = frozenset({"env", "env_templates", "stored", "hand_over", "env_file"})
_UNITS = ("_seconds", "_bytes")


def drift(release: AppSettings, now: AppSettings) -> tuple[str, ...]:
    """The keys of ``[app]`` in which they differ, as oatie.toml calls them; values may be secret."""
    names = [field.name for field in fields(AppSettings) if field.name not in _LIVE | _ENVIRONMENT]
    found = [name for name in names if getattr(release, name) != getattr(now, name)]
    if _literal(release) != _literal(now):
        found.append("env")
    return tuple(_key(name) for name in found)


def drift_note(release: str, keys: tuple[str, ...]) -> str:
    """One sentence for an operator; empty where nothing differs."""
    if not keys:
        return ""
    return (
        f"the settings of release {release} are used; oatie.toml has changed since in [app] "
        f"{', '.join(keys)} (`oatie deploy` makes a release with today's)"
    )


def _literal(app: AppSettings) -> dict[str, str]:
    """What comes from elsewhere (a variable, a store of secrets) may change from day to day."""
    return {
        name: value
        for name, value in app.env.items()
        if name not in app.env_templates and name not in app.stored and name not in _LIVE_VARIABLES
    }


def _key(name: str) -> str:
    for unit in _UNITS:
        name = name.removesuffix(unit)
    return name
