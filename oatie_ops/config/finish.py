"""From a declaration to the settings: references resolved, the application found, its environment complete.

Runs on every load, also on one from the cache; standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from oatie_ops.config.address import join_address, listen_address, same_port
from oatie_ops.config.app_env import with_environment
from oatie_ops.config.candidates import Candidate, Discovery
from oatie_ops.config.convert import json_ready, settings_from_dict, settings_to_dict
from oatie_ops.config.declared import Declared
from oatie_ops.config.discover import directory_name, look
from oatie_ops.config.inputs import Inputs, lookup
from oatie_ops.config.interpolate import Lookup, expand, is_unresolved
from oatie_ops.config.issues import NOTE, WARNING, Issue, dotted
from oatie_ops.config.layers import DEFAULT, Origin, Source, copied
from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.config.spans import KeyPath
from oatie_ops.records import dataclass


@dataclass(frozen=True)
class Finished:
    """See `oatie_ops.config.load.Loaded`, whose parts these are."""

    settings: Settings
    origins: Mapping[str, Origin]
    issues: tuple[Issue, ...]
    discovery: Discovery | None
    unresolved: tuple[KeyPath, ...]
    templates: Mapping[str, str]


def finish(declared: Declared, inputs: Inputs) -> Finished:
    outside = declared.env_file.values if declared.env_file else {}
    find = lookup(inputs.environ, outside)
    data, templates = _resolved(declared, find)
    settings = settings_from_dict(data)
    origins = dict(declared.origins)
    issues = list(declared.issues)
    settings, discovery = _with_application(settings, origins)
    settings = _with_ops_port(settings, origins, issues)
    settings = replace(settings, app=with_environment(settings.app, declared, inputs, origins))
    issues += _invented_database(settings, declared.profile, origins)
    templates.update({f"app.env.{name}": text for name, text in settings.app.env_templates.items()})
    unresolved = tuple(path for path in declared.templates if is_unresolved(templates[dotted(path)], find))
    elsewhere = ((path, templates[dotted(path)]) for path in unresolved if path[0] != "app")
    settings = replace(settings, app=_with_stored(settings, unresolved), stored=tuple(elsewhere))
    return Finished(settings, origins, tuple(issues), discovery, unresolved, templates)


def _resolved(declared: Declared, find: Lookup) -> tuple[dict[str, Any], dict[str, str]]:
    data: dict[str, Any] = copied(dict(declared.data))
    templates: dict[str, str] = {}
    for path in declared.templates:
        parent = _parent(data, path)
        template = parent[path[-1]]
        templates[dotted(path)] = template
        parent[path[-1]] = expand(template, find)
    return data, templates


def _with_stored(settings: Settings, unresolved: Iterable[KeyPath]) -> AppSettings:
    stored = tuple(str(path[2]) for path in unresolved if path[:2] == ("app", "env"))
    return replace(settings.app, stored=stored, hand_over=settings.secrets.get("expose") == "descriptor")


def resolved(settings: Settings, templates: Mapping[KeyPath, str], reveal: Lookup) -> Settings:
    data = json_ready(settings_to_dict(settings))
    for path, template in templates.items():
        _parent(data, path)[path[-1]] = expand(template, reveal)
    return settings_from_dict(data)


def _parent(data: Any, path: KeyPath) -> Any:
    for part in path[:-1]:
        data = data[part]
    return data


def _with_application(settings: Settings, origins: dict[str, Origin]) -> tuple[Settings, Discovery | None]:
    """What runs, where the file does not say: the best of what is found here, else the demo.

    Neither, where that cannot be told: `oatie_ops.config.found.require_decided` refuses to run that.
    """
    app, seen = settings.app, None
    if app.run is None and app.command is None:
        seen = look(settings.root)
        if seen.chosen is not None:
            settings = _with_found(settings, seen.chosen, origins)
            app = settings.app
    if "app.name" not in origins:
        app = replace(app, name=directory_name(settings.root))
        origins["app.name"] = Origin(Source.DISCOVERED, "the name of the directory")
    if app.command is not None and app.socket is None and app.workers > 1:
        app = replace(app, workers=1)
        below = origins.get("app.workers")
        origins["app.workers"] = Origin(Source.DEFAULT, "one process for a plain command", overrides=below)
    return replace(settings, app=app), seen


def _with_found(settings: Settings, found: Candidate, origins: dict[str, Origin]) -> Settings:
    origin = Origin(Source.DISCOVERED, found.evidence)
    app = replace(settings.app, run=found.run, command=found.command)
    origins["app.run" if found.run else "app.command"] = origin
    if found.kind == "demo" and "app.name" not in origins:
        app = replace(app, name=found.name)
        origins["app.name"] = origin
    if "deploy.build" not in origins and found.build:
        settings = replace(settings, deploy=replace(settings.deploy, build=found.build))
        origins["deploy.build"] = origin
    return replace(settings, app=app)


def _with_ops_port(settings: Settings, origins: dict[str, Origin], issues: list[Issue]) -> Settings:
    """The application keeps the port that it was given; the ops API takes the next one."""
    address = listen_address(settings.ops.listen)
    chosen = origins.get("ops.listen", DEFAULT).source > Source.PROFILE
    if chosen or address is None or not same_port(settings.app.host, settings.app.port, address):
        return settings
    moved = join_address(address[0], address[1] + 1 if address[1] < 65535 else address[1] - 1)
    origins["ops.listen"] = Origin(
        Source.DEFAULT, "the port after the application's", overrides=origins.get("ops.listen")
    )
    why = origins.get("app.port", DEFAULT).describe()
    issues.append(
        Issue(
            NOTE,
            "ops-moved",
            "ops.listen",
            f"is {moved}: the application has port {settings.app.port} ({why})",
            hint="set ops.listen to choose another",
        )
    )
    return replace(settings, ops=replace(settings.ops, listen=moved))


def _invented_database(settings: Settings, profile: str, origins: Mapping[str, Origin]) -> list[Issue]:
    """The profile's address with its example password is for trying things out."""
    if origins.get("app.env.DATABASE_URL", DEFAULT).source is not Source.PROFILE:
        return []
    return [
        Issue(
            WARNING,
            "example-database",
            "app.env.DATABASE_URL",
            "is not set: the application gets the example address of the profile",
            hint="set DATABASE_URL, in the environment or as [app.env] DATABASE_URL",
            source=f"profile {profile}",
        )
    ]
