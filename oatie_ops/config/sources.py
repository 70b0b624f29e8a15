"""The layers that a configuration is made of, one for each source, and what is wrong with the sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from oatie_ops.config import document as documents
from oatie_ops.config import envfile, interpolate, variables
from oatie_ops.config.catalogue import catalogue
from oatie_ops.config.document import ENVIRONMENTS, PROFILE, Document
from oatie_ops.config.envfile import EnvFile
from oatie_ops.config.findings import Findings
from oatie_ops.config.inputs import ENV_FILE_VARIABLE, Environment, Inputs
from oatie_ops.config.issues import ERROR, UNKNOWN_ENVIRONMENT, WARNING, Issue, Problem
from oatie_ops.config.layers import Layer, Origin, Source, merge
from oatie_ops.config.names import CONTROL_VARIABLES, is_relevant
from oatie_ops.config.profiles import PROFILES
from oatie_ops.config.spans import KeyPath
from oatie_ops.environment.layers import profile_of

ENV_FILE: KeyPath = ("app", "env_file")


def read_document(inputs: Inputs) -> Document:
    located = inputs.located
    if located.file is None:
        return Document("")
    if inputs.content is None:
        return documents.unreadable(located.file.name, "permission denied, or it is not a file")
    return documents.parse(inputs.content, located.file.name, located.table)


# -- which environment -----------------------------------------------------------------------------


def environment_name(found: Environment, document: Document, findings: Findings) -> str:
    """An overlay with the very name that was asked for goes before the profile that the name stands for."""
    findings.issues += [
        Issue(WARNING, "environment", "", warning, source="environment") for warning in found.warnings
    ]
    overlays = document.overlays()
    name = found.asked if found.asked and found.asked in overlays else found.name
    if name not in PROFILES and name not in overlays and not document.issues:
        findings.issues.append(_unknown_environment(name, [*overlays, *PROFILES], found.origin))
    return name


def profile_name(name: str, document: Document, detected: str) -> str:
    """What the overlay says, else the profile that the name stands for, else that of the place it is in."""
    overlay = document.overlays().get(name)
    declared = overlay.get(PROFILE) if isinstance(overlay, Mapping) else None
    if isinstance(declared, str) and declared in PROFILES:
        return declared
    meant = profile_of(name)
    return meant.value if meant else detected


def _unknown_environment(name: str, known: list[str], origin: Origin) -> Issue:
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    message = f"names the environment {name!r}, which has no [environments.{name}] and is no profile"
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(dict.fromkeys(known))}"
    # Who types a name means one that is there. A variable may be the platform's, set for many programs.
    severity = ERROR if near or origin.source is Source.FLAG else WARNING
    return Issue(severity, UNKNOWN_ENVIRONMENT, "", message, hint=hint, source=origin.describe())


def check_overlay_heads(document: Document, findings: Findings) -> None:
    environments = document.data.get(ENVIRONMENTS, {})
    if not isinstance(environments, Mapping):
        findings.in_document(Problem("bad-type", (), "must be a table"), (ENVIRONMENTS,))
        return
    for name, overlay in environments.items():
        path = (ENVIRONMENTS, name)
        near = get_close_matches(name.lower(), PROFILES, n=1, cutoff=0.8)
        if near and profile_of(name) is None:
            what, hint = "is the name of no profile", f"did you mean {near[0]}?"
            findings.in_document(Problem("unlikely-name", (), what, hint, WARNING, at="key"), path)
        if not isinstance(overlay, Mapping):
            findings.in_document(Problem("bad-type", (), "must be a table"), path)
        elif PROFILE in overlay and overlay[PROFILE] not in list(PROFILES):
            listed = ", ".join(f'"{profile}"' for profile in PROFILES)
            findings.in_document(Problem("bad-value", (), f"must be one of {listed}"), (*path, PROFILE))


# -- env file --------------------------------------------------------------------------------------


def read_env_file(inputs: Inputs, document: Document, environment: str, findings: Findings) -> EnvFile | None:
    path, origin = _env_file_path(inputs, document, environment)
    if path is None:
        return None
    try:
        found = envfile.parse(path, path.read_bytes(), inputs.environ)
    except OSError as error:
        why = f"names {findings.shown(path)}, which cannot be read: {error.strerror or type(error).__name__}"
        findings.at(Problem("env-file", ENV_FILE, why, _near_file(path)), origin)
        return None
    except UnicodeDecodeError:
        what = f"names {findings.shown(path)}, which is not UTF-8 text"
        findings.at(Problem("env-file", ENV_FILE, what), origin)
        return None
    for line in found.bad_lines:
        message = "is not NAME=value"
        findings.issues.append(Issue(ERROR, "env-file", "", message, findings.shown(path), line, 1))
    return found


def _near_file(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if "env" in entry.name and entry.is_file()]
    except OSError:
        return f"there is no directory {path.parent}"
    near = get_close_matches(path.name, names, n=1, cutoff=0.5) or names[:1]
    return f"did you mean {near[0]}?" if near and not path.exists() else ""


def _env_file_path(inputs: Inputs, document: Document, environment: str) -> tuple[Path | None, Origin]:
    """The env file itself cannot say which one it is, so this is looked up before the layers are merged."""
    if inputs.env_file is not None:
        return inputs.env_file, Origin(Source.FLAG, "--env-file")
    root = inputs.located.root
    for name in (ENV_FILE_VARIABLE, variables.variable_name(ENV_FILE)):
        if inputs.environ.get(name):
            return root / inputs.environ[name], Origin(Source.ENVIRONMENT, name)
    declared = merge(_only("app", layer) for layer in (document.layer(), document.overlay(environment)))
    table = declared.data.get("app")
    value = table.get("env_file") if isinstance(table, Mapping) else None
    if not isinstance(value, str) or not value:
        return None, declared.origin(ENV_FILE)
    return root / interpolate.expand(value, inputs.environ.get), declared.origin(ENV_FILE)


def _only(name: str, layer: Layer) -> Layer:
    return Layer({key: value for key, value in layer.data.items() if key == name}, layer.origin)


# -- layers ----------------------------------------------------------------------------------------


def profile_layer(name: str) -> Layer:
    return Layer(PROFILES[name].defaults, lambda _: Origin(Source.PROFILE, name))


def env_file_layer(env_file: EnvFile, document: Document, findings: Findings) -> Layer:
    shown = findings.shown(env_file.path)

    def origin(name: str) -> Origin:
        return Origin(Source.ENV_FILE, name, shown, env_file.lines.get(name), 1)

    return _variables(env_file.values, origin, document, findings)


def environment_layer(environ: Mapping[str, str], document: Document, findings: Findings) -> Layer:
    return _variables(environ, lambda name: Origin(Source.ENVIRONMENT, name), document, findings)


def _variables(
    values: Mapping[str, str], origin_of: Callable[[str], Origin], document: Document, findings: Findings
) -> Layer:
    if not variables.any_of_ours(values):
        return Layer({}, lambda _path: origin_of(""))  # and no schema is made to read them by
    services = document.data.get("services")
    # Mostly there is none, and the catalogue is the dearest thing on the way of a start.
    found = variables.Assignments()
    if any(value and is_relevant(name) and name not in CONTROL_VARIABLES for name, value in values.items()):
        found = variables.assignments(values, catalogue(), services if isinstance(services, Mapping) else ())
    for name, problem in found.problems:
        findings.at(problem, origin_of(name))

    def origin(path: KeyPath) -> Origin:
        heads = (path[:length] for length in range(len(path), 0, -1))
        return origin_of(next((found.names[head] for head in heads if head in found.names), ""))

    return Layer(found.data, origin)


def flag_layer(inputs: Inputs) -> Layer:
    given = {key: value for key, value in inputs.overrides.items() if value is not None}
    if inputs.env_file is not None:
        given[".".join(map(str, ENV_FILE))] = str(inputs.env_file)
    data: dict[str, Any] = {}
    for key, value in given.items():
        *parents, last = key.split(".")
        table = data
        for part in parents:
            table = table.setdefault(part, {})
        table[last] = list(value) if isinstance(value, tuple) else value
    return Layer(data, lambda path: Origin(Source.FLAG, "--" + str(path[-1]).replace("_", "-")))
