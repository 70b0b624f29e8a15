"""The schema of oatie.toml, in pydantic: the one list of keys, types, limits, defaults and descriptions.

Field names are the names in the file; `oatie_ops.config.convert` maps them to the settings that other
rooms read. Here is all of it, for its JSON Schema; `oatie_ops.config.validate` imports the tables that a
file has, one by one.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from oatie_ops.config.fields import Name
from oatie_ops.config.schema_core import Alert, App, Deploy, Logs, Ops, Scale, Secrets, Switches
from oatie_ops.config.schema_engines import (
    Accessory,
    Container,
    Docker,
    Image,
    Kubernetes,
    Proxy,
    Swarm,
)
from oatie_ops.config.schema_history import History
from oatie_ops.config.schema_services import Service
from oatie_ops.config.schema_table import Table


class File(Table):
    """Everything that applies in one environment."""

    app: App = Field(default_factory=App)
    """The application."""
    deploy: Deploy = Field(default_factory=Deploy)
    """How a release is made and switched to."""
    image: Image = Field(default_factory=Image)
    """The image that a release is, on engines that run containers."""
    container: Container = Field(default_factory=Container)
    """One container of the application, on any engine."""
    docker: Docker = Field(default_factory=Docker)
    """The target "docker"."""
    swarm: Swarm = Field(default_factory=Swarm)
    """The target "swarm"."""
    kubernetes: Kubernetes = Field(default_factory=Kubernetes)
    """The target "kubernetes"."""
    proxy: Proxy = Field(default_factory=Proxy)
    """Caddy in front."""
    accessories: dict[Name, Accessory] = Field(default_factory=dict)
    """Containers that the application needs, by name."""
    services: dict[Name, Service] = Field(default_factory=dict)
    """Whatever has a health that matters: databases, caches, external APIs, features of the application."""
    secrets: Secrets = Field(default_factory=Secrets)
    """Where secret values come from."""
    ops: Ops = Field(default_factory=Ops)
    """The ops API: health, metrics, dashboard."""
    scale: Scale = Field(default_factory=Scale)
    """How far `oatie scale` may go, by hand and by itself."""
    history: History = Field(default_factory=History)
    """What is measured once a second, and how long it is kept."""
    logs: Logs = Field(default_factory=Logs)
    """Captured output of the workers."""
    alerts: dict[Name, Alert] = Field(default_factory=dict)
    """Who is told when something fails."""
    switches: Switches = Field(default_factory=Switches)
    """Decisions that running workers obey at once, and when the load decides."""


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the whole file, ``[environments.NAME]`` included, for editors."""
    schema = File.model_json_schema()
    overlay = {
        "type": "object",
        "description": "What differs in this environment; the same keys as at the top.",
        "properties": {
            "profile": {
                "type": "string",
                "description": "Profile whose defaults apply, for an environment with a name of your own.",
            },
            **{name: _partial(node) for name, node in schema["properties"].items()},
        },
        "additionalProperties": False,
    }
    schema["properties"]["environments"] = {
        "type": "object",
        "description": "Overlays, one for each environment by name.",
        "additionalProperties": overlay,
    }
    schema["title"] = "oatie.toml"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_without_null(schema)}


def _without_null(node: Any) -> Any:
    """TOML has no null: what may be left out is not required, that is all."""
    if isinstance(node, list):
        return [_without_null(child) for child in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _without_null(child) for key, child in node.items() if key != "default" or child is not None}
    options = [option for option in kept.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        del kept["anyOf"]
        return {**options[0], **kept}
    return {**kept, "anyOf": options} if options else kept


def _partial(node: dict[str, Any]) -> dict[str, Any]:
    """An overlay may name a single key of a check, so tables by name are not judged on their own."""
    if "additionalProperties" in node:
        return {"type": "object", "description": node.get("description", "")}
    return node
