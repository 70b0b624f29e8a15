"""Runs the pydantic schema over the merged configuration and says in our own words what it found.

pydantic's messages are never passed on: they may hold the value. All problems are found at once, in
such a way that one does not hide another: what is wrong is taken out and the rest is looked at again.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from oatie_ops.config.catalogue import Catalogue, catalogue
from oatie_ops.config.issues import Problem
from oatie_ops.config.layers import copied
from oatie_ops.config.sections import SECTIONS
from oatie_ops.config.spans import KeyPath

# What people call it elsewhere.
_SYNONYMS = {
    "bind": "host",
    "address": "host",
    "replicas": "workers",
    "processes": "workers",
    "entrypoint": "run",
    "app": "run",
    "module": "run",
    "cmd": "command",
    "command": "run",
    "healthcheck": "ready",
    "health_check": "ready",
    "health_path": "ready",
    "environment": "env",
    "env_vars": "env",
    "grace": "drain",
    "loglevel": "log_level",
    "depends_on": "needs",
    "kind": "type",
    "service": "services",
    "alert": "alerts",
    "log": "logs",
    "application": "app",
    "env_file_path": "env_file",
}
# What people write for one of the choices.
MEANT = {
    "k8s": "kubernetes",
    "kube": "kubernetes",
    "local": "process",
    "host": "process",
    "verbose": "debug",
    "notice": "info",
    "err": "error",
    "postgresql": "postgres",
    "aws": "aws_secrets_manager",
    "gcp": "gcp_secret_manager",
    "azure": "azure_key_vault",
}

_TYPE_WORDS = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be a string",
    "list_type": "must be a list",
    "dict_type": "must be a table",
    "mapping_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}
_LIMIT_WORDS = {
    "greater_than_equal": ("ge", "must be at least"),
    "less_than_equal": ("le", "must be at most"),
    "greater_than": ("gt", "must be more than"),
    "less_than": ("lt", "must be less than"),
}
# Without a dataclass in the settings that would have their defaults.
NEVER_MISSING = ("secrets", "switches")
# More rounds than any file needs: each takes out at least one wrong key.
_MAX_ROUNDS = 20


def validate(data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
    """The tables that are there, by name, without what is wrong in them; and everything that is wrong."""
    remaining = copied(dict(data))
    problems: list[Problem] = []
    removed: set[KeyPath] = set()
    for _ in range(_MAX_ROUNDS):
        tables, found = _look(remaining)
        if not found:
            return tables, problems
        for item in found:
            problem = _problem(item, remaining)
            was_there = item["type"] == "missing" and _file_path(item["loc"], remaining) in removed
            if problem not in problems and not was_there:
                problems.append(problem)
        for path in {_to_remove(item, remaining) for item in found}:
            removed.add(path)
            _remove(remaining, path)
    return _look({})[0], problems


def _look(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The tables, and what pydantic says of them."""
    tables = {name: SECTIONS[name].table().model_construct() for name in NEVER_MISSING}
    found: list[dict[str, Any]] = []
    for name, section in SECTIONS.items():
        if name not in data:
            continue
        try:
            tables[name] = section.validated(data[name])
        except ValidationError as error:
            items = error.errors(include_url=False, include_context=True, include_input=False)
            found += [{**item, "loc": (name, *item["loc"])} for item in items]
    found += [{"type": "extra_forbidden", "loc": (name,)} for name in data if name not in SECTIONS]
    return tables, found


def _problem(item: Any, data: Mapping[str, Any]) -> Problem:
    path = _file_path(item["loc"], data)
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown_key(path, data)
    if item["loc"] and item["loc"][-1] == "[key]":
        return Problem("bad-name", path, context.get("text", "is not a valid name"), at="key")
    if kind == "oatie":
        return Problem("bad-value", path, context["text"], context["hint"])
    if kind == "missing":
        return Problem("missing-key", path[:-1], f"needs the key `{path[-1]}`", at="key")
    if kind in ("literal_error", "union_tag_invalid"):
        return _bad_choice((*path, "type") if kind == "union_tag_invalid" else path, data)
    if kind == "union_tag_not_found":
        choices = ", ".join(catalogue().choices(catalogue().node((*path, "type")) or {}))
        return Problem("missing-key", path, "needs the key `type`", f"one of {choices}", at="key")
    if kind in _LIMIT_WORDS:
        name, words = _LIMIT_WORDS[kind]
        return Problem("bad-value", path, f"{words} {context[name]:g}")
    return Problem("bad-type", path, _TYPE_WORDS.get(kind, "is not valid"), _type_hint(kind, path, data))


def _bad_choice(path: KeyPath, data: Mapping[str, Any]) -> Problem:
    node = catalogue().node(path)
    choices = catalogue().choices(node) if node else []
    value = _value(data, path)
    word = value.lower() if isinstance(value, str) else ""
    near = [MEANT[word]] if MEANT.get(word) in choices else get_close_matches(word, choices, 1, 0.6)
    listed = ", ".join(f'"{choice}"' for choice in choices)
    return Problem(
        "bad-value", path, f"must be one of {listed}", f'did you mean "{near[0]}"?' if near else ""
    )


def unknown_key(path: KeyPath, data: Mapping[str, Any]) -> Problem:
    known = catalogue()
    table, name = path[:-1], str(path[-1])
    where = f"in [{'.'.join(map(str, table))}]" if table else "at the top of the file"
    return Problem(
        "unknown-key", path, f"is not a key {where}", _suggestion(known, table, name, data), at="key"
    )


def _suggestion(known: Catalogue, table: KeyPath, name: str, data: Mapping[str, Any]) -> str:
    keys = known.keys(table, data)
    synonym = _SYNONYMS.get(name.lower())
    near = get_close_matches(name.lower().replace("-", "_"), keys, n=1, cutoff=0.6)
    meant = f"did you mean `{near[0] if near else synonym}`?" if near or synonym in keys else ""
    if any(isinstance(part, int) for part in table) and keys:  # a rung's `command` is not that of [app]
        return f"{meant} the keys here: {', '.join(keys)}".strip()
    if meant:
        return meant
    elsewhere = [section for section in known.keys(()) if name in known.keys((section,))]
    if elsewhere:
        return f"`{name}` belongs to [{elsewhere[0]}]"
    return f"the keys here: {', '.join(keys)}" if keys and len(keys) <= 12 else ""


def _type_hint(kind: str, path: KeyPath, data: Mapping[str, Any]) -> str:
    value = _value(data, path)
    if isinstance(value, str) and kind.startswith(("int", "float", "bool")):
        return "write it without quotes"
    if kind == "string_type":
        return "write it in quotes"
    if kind == "list_type":
        return 'write it in brackets: ["…"]'
    return ""


def _file_path(location: tuple[str | int, ...], data: Any) -> KeyPath:
    """pydantic's location without what it adds for itself: the kind of a check, markers of keys."""
    path: list[str | int] = []
    kind_follows = False  # also where a key of the check has the kind's name: `command`
    for part in location:
        if part == "[key]":
            continue
        if isinstance(data, Mapping) and data.get("type") == part and (part not in data or kind_follows):
            kind_follows = False
            continue
        kind_follows = part == "check"
        path.append(part)
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
    return tuple(path)


def _to_remove(item: Any, data: Mapping[str, Any]) -> KeyPath:
    path = _file_path(item["loc"], data)
    return path[:-1] if item["type"] == "missing" else path


def _remove(data: Any, path: KeyPath) -> None:
    # Without one of its elements a list would mean something else, so it goes as a whole.
    first_number = next((i for i, part in enumerate(path) if isinstance(part, int)), len(path))
    *parents, last = path[:first_number]
    for part in parents:
        data = data.get(part)
    if isinstance(data, dict):
        data.pop(last, None)


def _child(data: Any, part: str | int) -> Any:
    if isinstance(data, Mapping):
        return data.get(part)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return None


def _value(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = _child(data, part)
    return data
