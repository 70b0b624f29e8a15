"""Between the schema, the settings that every room reads, and plain dicts for JSON. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oatie_ops.config.settings import (
    AppSettings,
    DeploySettings,
    HistorySettings,
    LogSettings,
    OpsSettings,
    ScaleSettings,
    ServiceSettings,
    Settings,
)
from oatie_ops.config.settings_engines import (
    AccessorySettings,
    ContainerSettings,
    DockerSettings,
    ImageSettings,
    KubernetesSettings,
    ProxySettings,
    SwarmSettings,
)

if TYPE_CHECKING:
    from oatie_ops.config.schema import File

# The tables whose fields are the keys of the file, but for the units.
SECTIONS: dict[str, type[Any]] = {
    "app": AppSettings,
    "deploy": DeploySettings,
    "image": ImageSettings,
    "container": ContainerSettings,
    "docker": DockerSettings,
    "swarm": SwarmSettings,
    "kubernetes": KubernetesSettings,
    "proxy": ProxySettings,
    "ops": OpsSettings,
    "scale": ScaleSettings,
    "history": HistorySettings,
}
# Keys of the file whose field in the settings is not just the key and its unit.
LOG_KEYS = {"max_bytes": "max_size", "keep_files": "keep"}


def file_key(field_name: str) -> str:
    """``ready_timeout_seconds`` is ``ready_timeout`` in the file, where the value brings its unit."""
    return field_name.removesuffix("_seconds").removesuffix("_bytes")


def to_settings(file: File, *, root: Path, path: Path | None, environment: str) -> Settings:
    services = {
        name: ServiceSettings(
            name=name,
            check=service.check.model_dump(exclude_none=True) if service.check else None,
            breaker=service.breaker.model_dump() if service.breaker else None,
            recover=tuple(rung.model_dump(exclude_none=True) for rung in service.recover),
            routes=tuple(service.routes),
            needs=tuple(service.needs),
            degrade=service.degrade.model_dump() if service.degrade else None,
        )
        for name, service in file.services.items()
    }
    return Settings(
        root=root,
        file=path,
        environment=environment,
        **{name: _section(kind, getattr(file, name).model_dump()) for name, kind in SECTIONS.items()},
        accessories={
            name: _section(AccessorySettings, accessory.model_dump(exclude_none=True))
            for name, accessory in file.accessories.items()
        },
        services=services,
        logs=LogSettings(**{name: getattr(file.logs, key) for name, key in LOG_KEYS.items()}),
        secrets=file.secrets.model_dump(exclude_none=True),
        alerts={name: alert.model_dump(exclude_none=True) for name, alert in file.alerts.items()},
        switches=file.switches.model_dump(exclude_none=True),
    )


def _section(kind: type[Any], values: Mapping[str, Any]) -> Any:
    known = ((field.name, file_key(field.name)) for field in fields(kind))
    return kind(**{name: _frozen(values[key]) for name, key in known if key in values})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _shallow(value: Any) -> dict[str, Any]:
    """As `asdict` of what holds no other dataclass; there may be a thousand services."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def settings_to_dict(settings: Settings) -> dict[str, Any]:
    """For `json_ready`. Holds every value in clear: what comes from outside must be a template by then."""
    data = {field.name: getattr(settings, field.name) for field in fields(Settings)}
    for name in (*SECTIONS, "logs"):
        data[name] = asdict(data[name])
    for name in ("services", "accessories"):
        data[name] = {key: _shallow(value) for key, value in data[name].items()}
    return {
        **data,
        "root": str(settings.root),
        "file": None if settings.file is None else str(settings.file),
        "secrets": dict(settings.secrets),
        "alerts": dict(settings.alerts),
        "switches": dict(settings.switches),
    }


def json_ready(value: Any) -> Any:
    """A copy in dicts and lists alone, as JSON would bring it back."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {key: json_ready(child) for key, child in value.items()}
    return [json_ready(child) for child in value] if isinstance(value, list | tuple) else value


def settings_from_dict(data: Mapping[str, Any]) -> Settings:
    """The reverse of `settings_to_dict`, also by way of JSON. Raises `KeyError`, `TypeError`."""
    return Settings(
        root=Path(data["root"]),
        file=None if data["file"] is None else Path(data["file"]),
        environment=data["environment"],
        **{name: _thaw(kind, data[name]) for name, kind in SECTIONS.items()},
        accessories={name: _thaw(AccessorySettings, each) for name, each in data["accessories"].items()},
        services={name: _thaw(ServiceSettings, service) for name, service in data["services"].items()},
        logs=_thaw(LogSettings, data["logs"]),
        secrets=data["secrets"],
        alerts=data["alerts"],
        switches=data["switches"],
        stored=tuple((tuple(path), template) for path, template in data["stored"]),
    )


def _thaw(kind: type[Any], values: Mapping[str, Any]) -> Any:
    return kind(**{name: _frozen(value) for name, value in values.items()})
