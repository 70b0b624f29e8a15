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
    from oatie_ops.config.schema_services import Service

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


def to_settings(tables: Mapping[str, Any], *, root: Path, path: Path | None, environment: str) -> Settings:
    """``tables``: as `oatie_ops.config.validate` made them; what is not there has its defaults."""
    return Settings(
        root=root,
        file=path,
        environment=environment,
        **{name: _section(kind, plain(tables.get(name, {}))) for name, kind in SECTIONS.items()},
        accessories={
            name: _section(AccessorySettings, plain(accessory, without_none=True))
            for name, accessory in tables.get("accessories", {}).items()
        },
        services={name: _service(name, service) for name, service in tables.get("services", {}).items()},
        logs=_logs(plain(tables.get("logs", {}))),
        secrets=plain(tables["secrets"], without_none=True),
        alerts=plain(tables.get("alerts", {}), without_none=True),
        switches=plain(tables["switches"], without_none=True),
    )


def _service(name: str, service: Service) -> ServiceSettings:
    return ServiceSettings(
        name=name,
        check=plain(service.check, without_none=True),
        breaker=plain(service.breaker),
        recover=tuple(plain(service.recover, without_none=True)),
        routes=tuple(service.routes),
        needs=tuple(service.needs),
        degrade=plain(service.degrade),
    )


def _logs(values: Mapping[str, Any]) -> LogSettings:
    return LogSettings(**{name: values[key] for name, key in LOG_KEYS.items() if key in values})


def plain(value: Any, *, without_none: bool = False) -> Any:
    """Tables of the schema as dicts, as `BaseModel.model_dump` has them, without making a serializer."""
    if hasattr(value, "model_fields_set"):
        return {
            name: plain(each, without_none=without_none)
            for name, each in vars(value).items()
            if not (without_none and each is None)
        }
    if isinstance(value, dict):
        return {key: plain(each, without_none=without_none) for key, each in value.items()}
    return [plain(each, without_none=without_none) for each in value] if isinstance(value, list) else value


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
