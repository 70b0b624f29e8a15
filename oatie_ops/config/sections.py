"""Which class of the schema each table at the top of oatie.toml is, imported when a file has that table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pydantic import TypeAdapter

from oatie_ops.config.fields import Name


@dataclass(frozen=True)
class Section:
    """``named``: a table of tables, each with a name that the operator gives it."""

    module: str
    kind: str
    named: bool = False

    def table(self) -> Any:
        return getattr(import_module(f"oatie_ops.config.{self.module}"), self.kind)

    def validated(self, value: Any) -> Any:
        """A table, or tables by name. Raises `pydantic.ValidationError`."""
        if self.named:
            by_name: Any = dict[Name, self.table()]  # type: ignore[misc]
            return TypeAdapter(by_name).validate_python(value, strict=True)
        return self.table().model_validate(value)


SECTIONS: Mapping[str, Section] = {
    "app": Section("schema_core", "App"),
    "deploy": Section("schema_core", "Deploy"),
    "image": Section("schema_engines", "Image"),
    "container": Section("schema_engines", "Container"),
    "docker": Section("schema_engines", "Docker"),
    "swarm": Section("schema_engines", "Swarm"),
    "kubernetes": Section("schema_engines", "Kubernetes"),
    "proxy": Section("schema_engines", "Proxy"),
    "accessories": Section("schema_engines", "Accessory", named=True),
    "services": Section("schema_services", "Service", named=True),
    "secrets": Section("schema_core", "Secrets"),
    "ops": Section("schema_core", "Ops"),
    "scale": Section("schema_core", "Scale"),
    "history": Section("schema_history", "History"),
    "logs": Section("schema_core", "Logs"),
    "alerts": Section("schema_core", "Alert", named=True),
    "switches": Section("schema_core", "Switches"),
}
