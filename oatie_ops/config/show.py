"""Every value that applies, as the file would say it, with secrets masked and where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from oatie_ops.config.catalogue import catalogue
from oatie_ops.config.convert import LOG_KEYS, file_key
from oatie_ops.config.durations import format_duration, format_size
from oatie_ops.config.interpolate import masked
from oatie_ops.config.issues import dotted
from oatie_ops.config.layers import Origin, Source
from oatie_ops.config.load import Loaded
from oatie_ops.config.masking import CLOSED_KINDS, MASK, holds_credentials, is_sensitive_path
from oatie_ops.config.profiles import DERIVED
from oatie_ops.config.spans import KeyPath

# Variables of the application that follow from settings; their values are no secrets.
_OPEN_VARIABLES = {*DERIVED, "CLOUD_DEPLOYMENT", "KUBERNETES_DEPLOYMENT", "HEALTH_CHECK_ENABLED"}


@dataclass(frozen=True)
class Entry:
    """``value`` is ready for JSON: a masked secret is `MASK`, a value from outside its ``${NAME}``."""

    path: KeyPath
    value: Any
    origin: Origin
    masked: bool = False

    @property
    def key(self) -> str:
        return dotted(self.path)


def entries(loaded: Loaded) -> list[Entry]:
    """In the order of the schema, services and alerts by name; what is not set is left out."""
    return [_entry(loaded, path, value) for path, value in _values(loaded) if value not in (None, (), [], {})]


def _entry(loaded: Loaded, path: KeyPath, value: Any) -> Entry:
    key = dotted(path)
    origin = loaded.origin_at(path)
    if key in loaded.templates:
        return Entry(path, _template(path, loaded.templates[key]), origin)
    shown, masked = _masked(path, value, loaded)
    return Entry(path, shown, origin, masked)


def _masked(path: KeyPath, value: Any, loaded: Loaded) -> tuple[Any, bool]:
    if isinstance(value, Mapping):
        parts = {str(key): _masked_part(loaded, (*path, key), child) for key, child in value.items()}
        return {key: part[0] for key, part in parts.items()}, any(part[1] for part in parts.values())
    if isinstance(value, list | tuple):
        items = [_masked_part(loaded, (*path, number), child) for number, child in enumerate(value)]
        return [item[0] for item in items], any(item[1] for item in items)
    if _is_secret(path, value):
        return MASK, True
    node = catalogue().node(path)
    kind = catalogue().kind(node) if node else ""
    if kind == "duration" and isinstance(value, int | float):
        return format_duration(value), False
    if kind == "size" and isinstance(value, int):
        return format_size(value), False
    return value, False


def _masked_part(loaded: Loaded, path: KeyPath, value: Any) -> tuple[Any, bool]:
    template = loaded.templates.get(dotted(path))
    return (_template(path, template), False) if template is not None else _masked(path, value, loaded)


def _template(path: KeyPath, template: str) -> str:
    return masked(template, MASK) if _is_secret(path, template) else template


def _is_secret(path: KeyPath, value: Any) -> bool:
    if path[:2] == ("app", "env"):
        return path[-1] not in _OPEN_VARIABLES
    node = catalogue().node(path)
    closed = node is not None and catalogue().kind(node) in CLOSED_KINDS
    return bool(
        # the table [secrets] itself names places, no secrets
        (is_sensitive_path(path[1:]) and not closed)
        or (node is not None and catalogue().is_sensitive(node))
        or (isinstance(value, str) and holds_credentials(value))
    )


def _values(loaded: Loaded) -> Iterator[tuple[KeyPath, Any]]:
    settings = loaded.settings
    yield ("environment",), settings.environment
    yield from _section(("app",), settings.app, skip={"env", "env_templates", "stored", "hand_over", "front"})
    yield from ((("app", "env", name), value) for name, value in settings.app.env.items())
    yield from _section(("deploy",), settings.deploy)
    yield from _engines(loaded)
    for name, service in settings.services.items():
        yield from _table(("services", name), {f.name: getattr(service, f.name) for f in fields(service)})
    yield from _table(("secrets",), settings.secrets)
    yield from _section(("ops",), settings.ops)
    yield from _section(("scale",), settings.scale)
    yield from _section(("history",), settings.history)
    yield from ((("logs", key), getattr(settings.logs, name)) for name, key in LOG_KEYS.items())
    for name, alert in settings.alerts.items():
        yield from _table(("alerts", name), alert)
    yield from _table(("switches",), settings.switches)


def _engines(loaded: Loaded) -> Iterator[tuple[KeyPath, Any]]:
    """Only what somebody set: who runs plain processes need not read about containers."""
    settings = loaded.settings
    for name in ("image", "container", "docker", "swarm", "kubernetes", "proxy"):
        section = getattr(settings, name)
        values = {file_key(field.name): getattr(section, field.name) for field in fields(section)}
        for path, value in _table((name,), values):
            if loaded.origin_at(path).source is not Source.DEFAULT:
                yield path, value
    for name, accessory in settings.accessories.items():
        yield from _table(
            ("accessories", name), {file_key(f.name): getattr(accessory, f.name) for f in fields(accessory)}
        )


def _section(prefix: KeyPath, section: Any, skip: frozenset[str] | set[str] = frozenset()) -> Any:
    for field in fields(section):
        if field.name not in skip:
            yield (*prefix, file_key(field.name)), getattr(section, field.name)


def _table(prefix: KeyPath, values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """Tables are opened, lists stay whole."""
    for key, value in values.items():
        if prefix[:1] == ("services",) and len(prefix) == 2 and key == "name":
            continue
        if isinstance(value, Mapping):
            yield from _table((*prefix, key), value)
        else:
            yield (*prefix, key), value
