"""Resolves the ``${NAME}`` in merged values, and keeps the template of everything that came from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from oatie_ops.config import interpolate, variables
from oatie_ops.config.catalogue import catalogue
from oatie_ops.config.issues import Problem
from oatie_ops.config.layers import Merged, Source, copied, leaves
from oatie_ops.config.spans import KeyPath
from oatie_ops.records import dataclass


@dataclass
class Resolved:
    """``data`` has the values; ``templates`` maps a path to its template and the text that it became.

    ``unknown`` are paths whose value cannot be known here; complaints about those would be invented.
    """

    data: dict[str, Any]
    templates: dict[KeyPath, tuple[str, str]] = field(default_factory=dict)
    unknown: list[KeyPath] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def concerns_unknown(self, path: KeyPath) -> bool:
        return any(path[: len(other)] == other or other[: len(path)] == path for other in self.unknown)


def resolve(merged: Merged, find: interpolate.Lookup, *, later: bool) -> Resolved:
    """``later``: a name without a value is no problem, somebody else resolves it."""
    resolved = Resolved(copied(merged.data))
    for path, value in list(leaves(merged.data)):
        if not isinstance(value, str) or is_command(path):
            continue
        origin = merged.origin(path)
        if origin.source in (Source.ENVIRONMENT, Source.ENV_FILE):
            if find(origin.name) == value:
                resolved.templates[path] = (f"${{{origin.name}}}", value)
        elif origin.source in (Source.FILE, Source.OVERLAY) and "${" in value:
            _resolve_one(resolved, path, value, find, later)
    return resolved


def _resolve_one(
    resolved: Resolved, path: KeyPath, value: str, find: interpolate.Lookup, later: bool
) -> None:
    missing = interpolate.missing(value, find)
    found = list(interpolate.references(value))
    if any(reference.malformed for reference in found):
        hint = "write ${NAME}, ${NAME:-default} or ${aws:NAME#key}; $${ stands for a plain ${"
        problem = Problem("bad-reference", path, "holds a ${ that names no variable", hint, needle="${")
        resolved.problems.append(problem)
        resolved.unknown.append(path)
    elif interpolate.is_unresolved(value, find):
        resolved.unknown.append(path)
        refusal = _no_place_for_secrets(path)
        secrets = [reference.name for reference in found if reference.is_secret]
        if not later or refusal:
            resolved.problems += [_not_set(path, name) for name in missing if name not in secrets]
        if refusal:
            resolved.problems += [_misplaced(path, name, refusal) for name in secrets]
    text = interpolate.expand(value, find)
    resolved.templates[path] = (value, text)
    _put(resolved.data, path, _typed(path, text))


def _not_set(path: KeyPath, name: str) -> Problem:
    return Problem(
        "missing-variable",
        path,
        f"needs the environment variable {name}, which is not set",
        f"set {name}, or give a default: ${{{name}:-…}}",
        needle=f"${{{name}",
    )


def _no_place_for_secrets(path: KeyPath) -> str:
    """Why a value here cannot come from a store of secrets; empty where it can."""
    if path[:2] != ("app", "env") and path[0] not in ("services", "alerts", "accessories", "switches"):
        return "is shown in status, logs and releases, so it cannot come from a store of secrets"
    node = catalogue().node(path)
    if node is not None and catalogue().kind(node) not in ("string", "any"):
        return "is no text, so it cannot come from a store of secrets"
    return ""


def _misplaced(path: KeyPath, name: str, refusal: str) -> Problem:
    hint = "secrets belong to texts of [app.env], [accessories], [services], [alerts] and [switches]"
    return Problem("misplaced-secret", path, refusal, hint, needle=f"${{{name}")


def resolved_later(merged: Merged, provider: str | None) -> bool:
    """Names that no variable has may be in a store of secrets, which is asked only when it is needed.

    ``provider`` is the cloud that this is proven to run on.
    """
    secrets = merged.data.get("secrets")
    if not isinstance(secrets, Mapping):
        return False
    if secrets.get("backend") is not None:
        return bool(secrets["backend"] != "env")
    # $GOOGLE_CLOUD_PROJECT is set in the shell of every developer, where it says nothing about secrets.
    source = merged.origin(("secrets", "project")).source
    declared = provider == "gcp" or source in (Source.FILE, Source.OVERLAY)
    return any(secrets.get(name) for name in ("name", "vault_url", "path")) or (
        declared and "project" in secrets
    )


def _typed(path: KeyPath, text: str) -> Any:
    """``workers = "${N}"``: text from a variable is read as the type of its key."""
    node = catalogue().node(path)
    if node is None or catalogue().kind(node) not in ("integer", "number", "boolean"):
        return text
    try:
        return variables.read(text, node, catalogue())
    except ValueError:
        return text


def is_command(path: KeyPath) -> bool:
    """A shell expands its own variables, and a secret must not get into the arguments of a program."""
    match [part for part in path if isinstance(part, str)]:
        case ["app", "command"] | ["deploy", "build" | "release"] | ["alerts" | "accessories", _, "command"]:
            return True
        case ["services", _, "recover", "run"] | ["services", _, "check", "command"]:
            return True
    return False


def without(data: dict[str, Any], paths: Iterable[KeyPath]) -> dict[str, Any]:
    """Takes keys out; an element of a list stays, the list would mean something else without it."""
    for path in paths:
        if all(isinstance(part, str) for part in path):
            table: Any = data
            for part in path[:-1]:
                table = table[part]
            table.pop(path[-1], None)
    return data


def referred(data: Mapping[str, Any]) -> tuple[str, ...]:
    """All names in references, also in values that became numbers and so have no template any more."""
    texts = [value for _, value in leaves(data) if isinstance(value, str)]
    return tuple(sorted({reference.name for text in texts for reference in interpolate.references(text)}))


def put_templates(data: dict[str, Any], templates: Mapping[KeyPath, tuple[str, str]]) -> tuple[KeyPath, ...]:
    """Templates into the settings, where the text is still what they became; returns those places.

    A value that the schema made something else of (a number, a level in small letters) stays as it is.
    """
    kept = []
    for path, (template, text) in templates.items():
        parent: Any = data
        try:
            for part in path[:-1]:
                parent = parent[part]
            unchanged = parent[path[-1]] == text
        except (KeyError, IndexError, TypeError):
            continue
        if unchanged:
            parent[path[-1]] = template
            kept.append(path)
    return tuple(kept)


def _put(data: Any, path: KeyPath, value: Any) -> None:
    for part in path[:-1]:
        data = data[part]
    data[path[-1]] = value
