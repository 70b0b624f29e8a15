"""What one key means: type, limits, default, variable, and what a table may hold."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from oatie_ops.config.catalogue import Node, catalogue
from oatie_ops.config.durations import format_duration, format_size
from oatie_ops.config.issues import dotted, undotted
from oatie_ops.config.names import PLAIN_VARIABLES
from oatie_ops.config.spans import KeyPath
from oatie_ops.config.variables import variable_name
from oatie_ops.errors import UsageError

_TYPE_WORDS = {
    "duration": 'duration: "500ms", "30s", "2m", "1h30m", or seconds',
    "size": 'size: "512MB", "1GiB", or bytes',
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "string",
    "array": "list",
    "object": "table",
    "any": "any value",
}


@dataclass(frozen=True)
class Explanation:
    key: str
    description: str
    type: str
    default: Any
    variables: tuple[str, ...]
    keys: tuple[tuple[str, str], ...]  # of a table: (name, description)

    def as_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "description": self.description,
            "type": self.type,
            "default": self.default,
            "variables": list(self.variables),
            "keys": [{"name": name, "description": text} for name, text in self.keys],
        }


def explain(key: str) -> Explanation:
    """``key`` as in the file; any name stands for "some service". Raises `UsageError` for an unknown one."""
    path = _path(key)
    path = _through_lists(path)
    node = catalogue().node(path)
    if node is None:
        raise _unknown(key, path)
    kind = catalogue().kind(node)
    choices = catalogue().choices(node)
    within = (*path, 0) if kind == "array" else path  # of a list of tables: what each of them may hold
    keys = tuple((name, _description((*within, name))) for name in catalogue().keys(within))
    if not keys and kind == "object":
        keys = tuple(
            (f"NAME.{name}", _description((*path, "*", name))) for name in catalogue().keys((*path, "*"))
        )
    return Explanation(
        key=dotted(path),
        description=_description(path),
        type=f"one of {', '.join(choices)}" if choices else _TYPE_WORDS.get(kind, kind),
        default=None if keys else _default(node, kind),
        variables=() if keys and kind != "array" else _variables(path),
        keys=keys,
    )


def all_keys() -> list[tuple[str, str]]:
    return [(dotted(path), str(node.get("description", ""))) for path, node in catalogue().leaves()]


def _path(key: str) -> KeyPath:
    text = key.strip().removeprefix("[").removesuffix("]")
    if text in ("", "."):
        return ()
    if "*" in text:  # services.*.check: whichever service
        text = text.replace("*", "NAME")
    try:
        return undotted(text)
    except ValueError as error:
        raise _unknown(key, ()) from error


def _through_lists(path: KeyPath) -> KeyPath:
    """``recover.run`` is what each table of the list ``recover`` may hold: recover[0].run."""
    found: KeyPath = ()
    for part in path:
        node = catalogue().node(found)
        if isinstance(part, str) and node is not None and catalogue().kind(node) == "array":
            found = (*found, 0)
        found = (*found, part)
    return found


def _unknown(key: str, path: KeyPath) -> UsageError:
    table = path[:-1]
    near = get_close_matches(str(path[-1]) if path else "", catalogue().keys(table), n=1, cutoff=0.5)
    same = [dotted(known) for known, _ in catalogue().leaves() if path and known[-1] == path[-1]]
    everything = [name for name, _ in all_keys()]
    guess = (
        dotted((*table, near[0])) if near else next(iter(same or get_close_matches(key, everything, n=1)), "")
    )
    fix = f"did you mean `{guess}`?" if guess else "`oatie config explain` lists all keys"
    return UsageError(f"there is no key {key!r}", fix=fix)


def _description(path: KeyPath) -> str:
    node = catalogue().node(path) or {}
    return str(node.get("description", ""))


def _default(node: Node, kind: str) -> Any:
    default = node.get("default")
    if kind == "duration" and isinstance(default, int | float):
        return format_duration(default)
    if kind == "size" and isinstance(default, int):
        return format_size(default)
    return default


def _variables(path: KeyPath) -> tuple[str, ...]:
    if any(isinstance(part, int) for part in path):  # a list is given as a whole
        path = path[: next(at for at, part in enumerate(path) if isinstance(part, int))]
    plain = [name for name, target in PLAIN_VARIABLES.items() if target == path]
    return (variable_name(path), *reversed(plain))
