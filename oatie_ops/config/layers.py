"""Which value wins, and where it came from.

flag > environment variable > env file > ``[environments.NAME]`` > file > profile > built-in default.
Tables merge key by key, anything else is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from enum import IntEnum
from typing import Any

from oatie_ops.config.spans import KeyPath
from oatie_ops.records import dataclass


class Source(IntEnum):
    """In the order of precedence, the weakest first."""

    DEFAULT = 0
    DISCOVERED = 1
    PROFILE = 2
    FILE = 3
    OVERLAY = 4
    ENV_FILE = 5
    ENVIRONMENT = 6
    FLAG = 7


@dataclass(frozen=True)
class Origin:
    """Where a value was set. ``name`` is the variable, the flag, the profile or the overlay.

    ``overrides`` is what would apply without it. No values: a value may be a secret.
    """

    source: Source
    name: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    overrides: Origin | None = None

    def describe(self) -> str:
        """``oatie.toml:14:1``, ``variable PORT``, ``--port``, ``profile production``, ``default``."""
        if self.file is not None:
            place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
            return f"{place} ({self.name})" if self.source is Source.ENV_FILE else place
        words = {
            Source.FLAG: self.name,
            Source.ENVIRONMENT: f"variable {self.name}",
            Source.PROFILE: f"profile {self.name}",
            Source.DISCOVERED: f"found: {self.name}",
            Source.DEFAULT: self.name or "default",
        }
        return words.get(self.source, self.name)

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source.name.lower().replace("_", "-"),
            "name": self.name or None,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "overrides": self.overrides.as_dict() if self.overrides else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Origin:
        return cls(
            Source[data["source"].upper().replace("-", "_")],
            data["name"] or "",
            data["file"],
            data["line"],
            data["column"],
            cls.from_dict(data["overrides"]) if data["overrides"] else None,
        )


DEFAULT = Origin(Source.DEFAULT)


@dataclass(frozen=True)
class Layer:
    """Values of one source, nested like the file; ``origin`` tells where one of them stands."""

    data: Mapping[str, Any]
    origin: Callable[[KeyPath], Origin]


@dataclass
class Merged:
    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)

    def exact_origin(self, path: KeyPath) -> Origin:
        """Of this very value; `DEFAULT` where only a table around it was written."""
        return self.origins.get(path, DEFAULT)

    def origin(self, path: KeyPath) -> Origin:
        """Of the value, else of the first value inside this table, else of the nearest table around it."""
        if path in self.origins:
            return self.origins[path]
        inside = (origin for known, origin in self.origins.items() if known[: len(path)] == path)
        around = (
            self.origins[path[:length]]
            for length in range(len(path) - 1, 0, -1)
            if path[:length] in self.origins
        )
        return next(inside, None) or next(around, DEFAULT)


# Only one of each group can hold; what a stronger source says displaces the others of a weaker one.
_EXCLUSIVE: tuple[tuple[KeyPath, KeyPath], ...] = ((("app", "run"), ("app", "command")),)


def merge(layers: Iterable[Layer]) -> Merged:
    """From the weakest to the strongest."""
    merged = Merged()
    for layer in layers:
        _displace(merged, layer.data)
        _merge_table(merged, merged.data, layer, layer.data, ())
    return merged


def _merge_table(
    merged: Merged, into: dict[str, Any], layer: Layer, table: Mapping[str, Any], prefix: KeyPath
) -> None:
    for key, value in table.items():
        path = (*prefix, key)
        old = into.get(key)
        if isinstance(value, Mapping):
            if not isinstance(old, dict) or _other_kind(old, value):
                if key in into:  # else there is nothing below to be forgotten, and looking goes over all
                    _forget(merged, path)
                old = into[key] = {}
            if not value:
                merged.origins.setdefault(path, layer.origin(path))
            _merge_table(merged, old, layer, value, path)
            continue
        below = merged.origins.get(path)
        if isinstance(old, dict):
            _forget(merged, path)
        into[key] = value
        merged.origins[path] = replace(layer.origin(path), overrides=below)


def _other_kind(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """A check of another type has other keys: nothing of the old one is left."""
    return "type" in old and "type" in new and old["type"] != new["type"]


def _forget(merged: Merged, path: KeyPath) -> None:
    for known in [known for known in merged.origins if known[: len(path)] == path]:
        del merged.origins[known]


def _displace(merged: Merged, data: Mapping[str, Any]) -> None:
    for group in _EXCLUSIVE:
        named = [path for path in group if path[-1] in (_table(data, path[0]) or {})]
        if not named:
            continue
        for other in set(group) - set(named):
            (_table(merged.data, other[0]) or {}).pop(str(other[-1]), None)
            merged.origins.pop(other, None)


def _table(data: Mapping[str, Any], name: str | int) -> dict[str, Any] | None:
    table = data.get(str(name))
    return table if isinstance(table, dict) else None


def leaves(data: Any, prefix: KeyPath = ()) -> Iterable[tuple[KeyPath, Any]]:
    """Every value that is not a table; elements of lists are gone into."""
    if isinstance(data, str):  # most are, and whether a text is a `Mapping` takes a while to find out
        yield prefix, data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from leaves(value, (*prefix, key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from leaves(value, (*prefix, number))
    else:
        yield prefix, data


def copied(data: Any) -> Any:
    """Tables and lists anew; what they hold is immutable in a configuration, so no deeper copy is needed."""
    if isinstance(data, dict):
        return {key: copied(value) for key, value in data.items()}
    return [copied(value) for value in data] if isinstance(data, list) else data
