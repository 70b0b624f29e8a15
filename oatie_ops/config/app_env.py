"""The environment of the application: everything that a worker gets on top of what it inherits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from oatie_ops.config.declared import Declared
from oatie_ops.config.inputs import Inputs, lookup
from oatie_ops.config.interpolate import references
from oatie_ops.config.layers import DEFAULT, Origin, Source
from oatie_ops.config.names import PREFIX
from oatie_ops.config.profiles import DERIVED, PROFILES, app_environment
from oatie_ops.config.settings import AppSettings


def with_environment(
    app: AppSettings, declared: Declared, inputs: Inputs, origins: dict[str, Origin]
) -> AppSettings:
    """profile < settings < ``[app.env]`` < env file < the process environment, name by name.

    Notes the origin of each variable in ``origins``, and a template for what came from outside.
    """
    file_values = declared.env_file.values if declared.env_file else {}
    find = lookup(inputs.environ, file_values)
    templates = _declared_templates(declared)
    env, sealed = app_environment(app, PROFILES[declared.profile]), {}
    for name, attribute in DERIVED.items():
        # As it was written outside, also where the schema writes it differently.
        if find(name) and not _is_stronger(origins.get(f"app.{attribute}", DEFAULT)):
            env[name], sealed[name] = str(find(name)), f"${{{name}}}"
    for name, value in app.env.items():
        env[name] = value
        sealed.pop(name, None)
        if name in templates:
            sealed[name] = templates[name]
    for name in {**env, **file_values}:
        outer, key = find(name), f"app.env.{name}"
        if outer is None or not _outer_wins(name, app, templates.get(name, ""), origins.get(key, DEFAULT)):
            continue
        env[name] = outer
        sealed[name] = _sealed(name, None if name in templates else app.env.get(name))
        source = Source.ENVIRONMENT if name in inputs.environ else Source.ENV_FILE
        origins[key] = Origin(source, name, overrides=origins.get(key))
    for name in env:
        origins.setdefault(f"app.env.{name}", _inherited(name, origins, declared.profile))
    return replace(app, env=env, env_templates=sealed)


def _declared_templates(declared: Declared) -> dict[str, str]:
    texts = declared.data["app"]["env"]
    return {str(path[2]): texts[path[2]] for path in declared.templates if path[:2] == ("app", "env")}


def _outer_wins(name: str, app: AppSettings, template: str, origin: Origin) -> bool:
    """Does a variable of the outside go before what is declared for the application under its name?"""
    if name.startswith(PREFIX) or _is_stronger(origin):
        return False
    if name in DERIVED and name not in app.env:
        return False  # it was heard already, as a setting
    # "/opt/bin:${PATH}" is built from the outer value.
    return all(reference.name != name for reference in references(template))


def _is_stronger(origin: Origin) -> bool:
    """Than a plain variable: a flag, or a variable that is meant for oatie alone."""
    return origin.source is Source.FLAG or origin.name.startswith(PREFIX)


def _inherited(name: str, origins: Mapping[str, Origin], profile: str) -> Origin:
    attribute = DERIVED.get(name)
    return origins.get(f"app.{attribute}", DEFAULT) if attribute else Origin(Source.PROFILE, profile)


def _sealed(name: str, otherwise: str | None) -> str:
    """The template that gives the outer value again, or where there is none any more, the file's."""
    if otherwise is None or "}" in otherwise:
        return f"${{{name}}}"
    return f"${{{name}:-{otherwise}}}"
