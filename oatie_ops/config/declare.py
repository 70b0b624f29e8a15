"""From the inputs to a validated declaration: layers, references, schema, rules. The slow path (pydantic).

The declaration holds no value that came from outside: those are left as ``${NAME}`` and resolved by
`oatie_ops.config.finish`, so that it may be written to the cache.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from oatie_ops.config import document as documents
from oatie_ops.config import envfile, interpolate, rules, variables
from oatie_ops.config.catalogue import catalogue
from oatie_ops.config.convert import json_ready, settings_to_dict, to_settings
from oatie_ops.config.declared import Declared
from oatie_ops.config.document import PROFILE, Document
from oatie_ops.config.inputs import ENV_FILE_VARIABLE, Inputs, lookup
from oatie_ops.config.issues import ERROR, WARNING, Issue, Problem, dotted, ordered
from oatie_ops.config.layers import Layer, Merged, Origin, Source, leaves, merge
from oatie_ops.config.profiles import PROFILE_OF_OTHERS, PROFILES
from oatie_ops.config.settings import Settings
from oatie_ops.config.spans import KeyPath
from oatie_ops.config.validate import validate

_ENV_FILE: KeyPath = ("app", "env_file")


def declare(inputs: Inputs) -> Declared:
    return _Declaration(inputs).run()


@dataclass
class _Declaration:
    inputs: Inputs
    issues: list[Issue] = field(default_factory=list)
    env_file: envfile.EnvFile | None = None

    def run(self) -> Declared:
        self.document = self._read_document()
        self.issues += self.document.issues
        self.environment, self.profile = self._environment()
        self._check_overlay_heads()
        self._read_env_file()
        base = [self._profile_layer(), self.document.layer()]
        outer = [*self._variable_layers(), self._flag_layer()]
        merged = merge([*base, self.document.overlay(self.environment), *outer])
        settings, templates = self._validated(merged, self.environment)
        for name in self.document.overlays():
            if name != self.environment:
                self._check_inactive_overlay(base, name)
        for problem in rules.plaintext_secrets(leaves(self.document.data)):
            self._add(problem, problem.path)
        return Declared(
            data=_with_templates(json_ready(settings_to_dict(settings)), templates),
            templates=tuple(templates),
            variables=_referred(merged.data),
            env_file=self.env_file,
            profile=self.profile,
            origins={
                "environment": self.inputs.environment.origin,
                **{dotted(path): origin for path, origin in merged.origins.items()},
            },
            issues=ordered(self.issues),
        )

    # -- sources -----------------------------------------------------------------------------------

    def _read_document(self) -> Document:
        located = self.inputs.located
        if located.file is None:
            return Document("")
        shown = located.file.name
        if self.inputs.content is None:
            return documents.unreadable(shown, "permission denied, or it is not a file")
        document = documents.parse(self.inputs.content, shown, located.table)
        if located.rival is not None:
            what = f"[tool.oatie] in {located.rival.name} configures this directory too"
            self.issues.append(Issue(ERROR, "two-files", "", what, shown, hint="keep one of the two"))
        return document

    def _environment(self) -> tuple[str, str]:
        """The name that applies and its profile; an overlay with the very name that was asked for wins."""
        found, overlays = self.inputs.environment, self.document.overlays()
        name = found.asked if found.asked in overlays and found.asked else found.name
        overlay = overlays.get(name)
        own = overlay.get(PROFILE) if isinstance(overlay, Mapping) else None
        if isinstance(own, str) and own in PROFILES:
            return name, own
        if name in PROFILES or found.name in PROFILES:
            return name, found.profile
        if name not in overlays and not self.document.issues:
            self._unknown_environment(name, found.origin)
        return name, PROFILE_OF_OTHERS

    def _unknown_environment(self, name: str, origin: Origin) -> None:
        known = [*self.document.overlays(), *PROFILES]
        near = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
        message = f"names the environment {name!r}, which has no [environments.{name}] and is no profile"
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(dict.fromkeys(known))}"
        severity = ERROR if near else WARNING
        self.issues.append(
            Issue(severity, "unknown-environment", "", message, hint=hint, source=origin.describe())
        )

    def _check_overlay_heads(self) -> None:
        environments = self.document.data.get(documents.ENVIRONMENTS, {})
        if not isinstance(environments, Mapping):
            self._add(Problem("bad-type", (), "must be a table"), (documents.ENVIRONMENTS,))
            return
        for name, overlay in environments.items():
            path = (documents.ENVIRONMENTS, name)
            if not isinstance(overlay, Mapping):
                self._add(Problem("bad-type", (), "must be a table"), path)
            elif PROFILE in overlay and overlay[PROFILE] not in PROFILES:
                listed = ", ".join(f'"{profile}"' for profile in PROFILES)
                self._add(Problem("bad-value", (), f"must be one of {listed}"), (*path, PROFILE))

    def _read_env_file(self) -> None:
        path, origin = self._env_file_path()
        if path is None:
            return
        try:
            content = path.read_bytes()
            self.env_file = envfile.parse(path, content, self.inputs.environ)
        except OSError as error:
            self._env_file_issue(origin, f"cannot be read: {error.strerror or type(error).__name__}")
        except UnicodeDecodeError:
            self._env_file_issue(origin, "is not UTF-8 text")
        else:
            for line in self.env_file.bad_lines:
                self.issues.append(
                    Issue(ERROR, "env-file", "", "is not NAME=value", self._shown(path), line, 1)
                )

    def _env_file_path(self) -> tuple[Path | None, Origin]:
        if self.inputs.env_file is not None:
            return self.inputs.env_file, Origin(Source.FLAG, "--env-file")
        root = self.inputs.located.root
        for name in (ENV_FILE_VARIABLE, variables.variable_name(_ENV_FILE)):
            if self.inputs.environ.get(name):
                return root / self.inputs.environ[name], Origin(Source.ENVIRONMENT, name)
        layers = [self.document.layer(), self.document.overlay(self.environment)]
        declared = merge(layers)
        table = declared.data.get("app")
        value = table.get("env_file") if isinstance(table, Mapping) else None
        if not isinstance(value, str) or not value:
            return None, declared.origin(_ENV_FILE)
        return root / interpolate.expand(value, self.inputs.environ.get), declared.origin(_ENV_FILE)

    def _env_file_issue(self, origin: Origin, message: str) -> None:
        self._add_at(Problem("env-file", _ENV_FILE, message), origin)

    def _profile_layer(self) -> Layer:
        profile = PROFILES[self.profile]
        return Layer(profile.defaults, lambda _: Origin(Source.PROFILE, profile.name))

    def _variable_layers(self) -> list[Layer]:
        environ, env_file = self.inputs.environ, self.env_file
        layers = []
        if env_file is not None:
            shown = self._shown(env_file.path)
            layers.append(
                self._variable_layer(
                    env_file.values,
                    lambda name: Origin(Source.ENV_FILE, name, shown, env_file.lines.get(name), 1),
                )
            )
        layers.append(self._variable_layer(environ, lambda name: Origin(Source.ENVIRONMENT, name)))
        return layers

    def _variable_layer(self, values: Mapping[str, str], origin_of: Callable[[str], Origin]) -> Layer:
        services = self.document.data.get("services")
        found = variables.assignments(values, catalogue(), services if isinstance(services, Mapping) else ())
        for name, problem in found.problems:
            self._add_at(problem, origin_of(name))

        def origin(path: KeyPath) -> Origin:
            name = next(
                (found.names[path[:n]] for n in range(len(path), 0, -1) if path[:n] in found.names), ""
            )
            return origin_of(name)

        return Layer(found.data, origin)

    def _flag_layer(self) -> Layer:
        data: dict[str, Any] = {}
        for key, value in self.inputs.overrides.items():
            if value is None:
                continue
            *parents, last = key.split(".")
            table = data
            for part in parents:
                table = table.setdefault(part, {})
            table[last] = list(value) if isinstance(value, tuple) else value
        return Layer(data, lambda path: Origin(Source.FLAG, "--" + str(path[-1]).replace("_", "-")))

    # -- checks ------------------------------------------------------------------------------------

    def _validated(self, merged: Merged, environment: str) -> tuple[Settings, dict[KeyPath, str]]:
        """The settings with every reference resolved, and the template of each value from outside."""
        find = lookup(self.inputs.environ, self.env_file.values if self.env_file else {})
        data, templates, skipped, problems = _resolve(merged, find, _resolved_later(merged))
        file, found = validate(data)
        problems += [problem for problem in found if not _concerns(problem.path, skipped)]
        located = self.inputs.located
        settings = to_settings(file, root=located.root, path=located.file, environment=environment)
        problems += rules.check(settings, merged.origin, self.profile)
        for problem in problems:
            self._add_at(problem, merged.origin(problem.path))
        return settings, templates

    def _check_inactive_overlay(self, base: Iterable[Layer], name: str) -> None:
        """What is wrong in the overlay of another environment is found before somebody deploys there."""
        merged = merge([*base, self.document.overlay(name)])
        data, _, skipped, problems = _resolve(merged, lambda _: None, True)
        data = _without(data, skipped)
        file, found = validate(data)
        problems += [problem for problem in found if not _concerns(problem.path, skipped)]
        located = self.inputs.located
        settings = to_settings(file, root=located.root, path=located.file, environment=name)
        profile = name if name in PROFILES else PROFILE_OF_OTHERS
        problems += rules.check(settings, merged.origin, profile)
        for problem in problems:
            origin = merged.origin(problem.path)
            if origin.source is Source.OVERLAY:
                self._add_at(problem, origin)

    def _add_at(self, problem: Problem, origin: Origin) -> None:
        """Where the wrong value was set, down to the element of a list."""
        if origin.source is Source.OVERLAY:
            self._add(problem, (documents.ENVIRONMENTS, origin.name, *problem.path))
        elif origin.source is Source.FILE or (origin.source is Source.DEFAULT and self.document.shown):
            self._add(problem, problem.path)
        else:
            self.issues.append(
                Issue(
                    problem.severity,
                    problem.code,
                    dotted(problem.path),
                    problem.message,
                    origin.file,
                    origin.line,
                    origin.column,
                    problem.hint,
                    origin.describe(),
                )
            )

    def _add(self, problem: Problem, path: KeyPath) -> None:
        self.issues.append(self.document.issue(problem, path))

    def _shown(self, path: Path) -> str:
        root = self.inputs.located.root
        return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _resolve(
    merged: Merged, find: interpolate.Lookup, later: bool
) -> tuple[dict[str, Any], dict[KeyPath, str], list[KeyPath], list[Problem]]:
    """The data with references resolved; templates; paths whose value is not known; problems.

    ``later``: a name without a value is no problem, it is resolved by somebody else.
    """
    data = copy.deepcopy(merged.data)
    templates: dict[KeyPath, str] = {}
    skipped: list[KeyPath] = []
    problems: list[Problem] = []
    for path, value in list(leaves(merged.data)):
        if not isinstance(value, str) or _is_command(path):
            continue
        origin = merged.origin(path)
        if origin.source in (Source.ENVIRONMENT, Source.ENV_FILE):
            if find(origin.name) == value:
                templates[path] = f"${{{origin.name}}}"
            continue
        if origin.source not in (Source.FILE, Source.OVERLAY) or "${" not in value:
            continue
        wrong = _reference_problems(path, value, find, later)
        problems += wrong
        if wrong or interpolate.missing(value, find):
            skipped.append(path)
        templates[path] = value
        _set(data, path, _typed(path, interpolate.expand(value, find)))
    return data, templates, skipped, problems


def _resolved_later(merged: Merged) -> bool:
    """Names that no variable has may be in the secrets backend, which is asked only when it is needed."""
    secrets = merged.data.get("secrets")
    if not isinstance(secrets, Mapping):
        return False
    if secrets.get("backend") is not None:
        return bool(secrets["backend"] != "env")
    return any(secrets.get(name) for name in ("name", "vault_url", "path")) or (
        "project" in secrets and merged.origin(("secrets", "project")).source in (Source.FILE, Source.OVERLAY)
    )


def _reference_problems(path: KeyPath, value: str, find: interpolate.Lookup, later: bool) -> list[Problem]:
    if any(reference.malformed for reference in interpolate.references(value)):
        hint = "write ${NAME} or ${NAME:-default}; $${ stands for a plain ${"
        return [Problem("bad-reference", path, "holds a ${ that names no variable", hint, needle="${")]
    return [
        Problem(
            "missing-variable",
            path,
            f"needs the environment variable {name}, which is not set",
            f"set {name}, or give a default: ${{{name}:-…}}",
            needle=f"${{{name}",
        )
        for name in interpolate.missing(value, find)
        if not later and ":" not in name
    ]


def _typed(path: KeyPath, text: str) -> Any:
    """``workers = "${N}"``: text from a variable is read as the type of its key."""
    node = catalogue().node(path)
    if node is None or catalogue().kind(node) not in ("integer", "number", "boolean"):
        return text
    try:
        return variables.read(text, node, catalogue())
    except ValueError:
        return text


_COMMANDS = re.compile(r"app\.command|deploy\.(build|release)|.*\.(run|command)", re.DOTALL)


def _is_command(path: KeyPath) -> bool:
    """A shell expands its own variables, and a secret must not get into the arguments of a program."""
    names = ".".join(part for part in path if isinstance(part, str))
    return path != ("app", "run") and _COMMANDS.fullmatch(names) is not None


def _concerns(path: KeyPath, skipped: Iterable[KeyPath]) -> bool:
    return any(path[: len(other)] == other or other[: len(path)] == path for other in skipped)


def _without(data: dict[str, Any], paths: Iterable[KeyPath]) -> dict[str, Any]:
    for path in paths:
        if all(isinstance(part, str) for part in path):
            table: Any = data
            for part in path[:-1]:
                table = table[part]
            table.pop(path[-1], None)
    return data


def _set(data: Any, path: KeyPath, value: Any) -> None:
    for part in path[:-1]:
        data = data[part]
    data[path[-1]] = value


def _referred(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Also those of values that became numbers, and so have no template any more."""
    texts = [value for _, value in leaves(data) if isinstance(value, str)]
    return tuple(sorted({reference.name for text in texts for reference in interpolate.references(text)}))


def _with_templates(data: dict[str, Any], templates: dict[KeyPath, str]) -> dict[str, Any]:
    """Puts the templates into the settings, and forgets those of values that became something else."""
    for path in list(templates):
        parent: Any = data
        try:
            for part in path[:-1]:
                parent = parent[part]
            is_text = isinstance(parent[path[-1]], str)
        except (KeyError, IndexError, TypeError):
            is_text = False
        if is_text:
            parent[path[-1]] = templates[path]
        else:
            del templates[path]
    return data
