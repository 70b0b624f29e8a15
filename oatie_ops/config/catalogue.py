"""Every key there is, read from the JSON Schema: its type, limits, default, description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from oatie_ops.config.spans import KeyPath

Node = Mapping[str, Any]


class Catalogue:
    """Walks the schema along a key path. ``data`` (the parsed file) decides between kinds of checks."""

    def __init__(self, schema: Node) -> None:
        self._schema = schema
        self._definitions = schema.get("$defs", {})

    def node(self, path: KeyPath, data: Any = None) -> Node | None:
        """The schema of one key with its own description and default; None for an unknown key."""
        node: Node = self._schema
        for part in path:
            child = self._child(self._table(node, data), part)
            if child is None:
                return None
            node = child
            data = _step(data, part)
        return node

    def keys(self, path: KeyPath, data: Any = None) -> list[str]:
        """Names that a table may hold; empty where it may hold any, or is none."""
        node = self.node(path, data)
        if node is None:
            return []
        for part in path:
            data = _step(data, part)
        return list(self._table(node, data).get("properties", {}))

    def kind(self, node: Node) -> str:
        """``choice``, ``duration``, ``size``, ``any``, or the type's name in JSON Schema."""
        plain = self._resolved(node)
        if "enum" in plain or "const" in plain:
            return "choice"
        declared = plain.get("x-kind") or plain.get("type") or ("object" if "oneOf" in plain else "any")
        return str(declared[0] if isinstance(declared, list) else declared)

    def choices(self, node: Node) -> list[str]:
        plain = self._resolved(node)
        return [str(value) for value in plain.get("enum", [plain["const"]] if "const" in plain else [])]

    def is_sensitive(self, node: Node) -> bool:
        return bool(node.get("x-sensitive") or self._resolved(node).get("x-sensitive"))

    def is_command(self, node: Node) -> bool:
        """A program and its arguments."""
        return bool(self._resolved(node).get("x-argv"))

    def leaves(self, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
        """All keys with a fixed name that hold a value; tables by name (services) are left out."""
        node = self.node(path)
        for name in self.keys(path):
            child = self.node((*path, name))
            if child is None or node is None:
                continue
            if self._table(child, None).get("properties"):
                yield from self.leaves((*path, name))
            else:
                yield (*path, name), child

    def _child(self, table: Node, part: str | int) -> Node | None:
        if isinstance(part, int):
            items = table.get("items")
            return items if isinstance(items, Mapping) else None
        child = table.get("properties", {}).get(part)
        if child is None:
            child = table.get("additionalProperties")
        return child if isinstance(child, Mapping) else None

    def _table(self, node: Node, data: Any) -> Node:
        """The node to look for keys in: references followed, one kind of check chosen or all merged."""
        plain = self._resolved(node)
        kinds = plain.get("oneOf")
        if kinds is None:
            return plain
        chosen = data.get("type") if isinstance(data, Mapping) else None
        mapping = plain.get("discriminator", {}).get("mapping", {})
        if isinstance(chosen, str) and chosen in mapping:
            return self._resolved({"$ref": mapping[chosen]})
        return {"type": "object", "properties": self._merged(mapping)}

    def _merged(self, mapping: Mapping[str, str]) -> dict[str, Any]:
        """The keys of all kinds of checks, each described for the kinds that have it."""
        tables = {kind: self._resolved({"$ref": target})["properties"] for kind, target in mapping.items()}
        merged: dict[str, Any] = {}
        for name in dict.fromkeys(name for table in tables.values() for name in table):
            having = {kind: table[name] for kind, table in tables.items() if name in table}
            texts: dict[str, list[str]] = {}
            for kind, node in having.items():
                texts.setdefault(node.get("description", ""), []).append(kind)
            described = [
                text if len(kinds) == len(tables) else f"{', '.join(kinds)}: {text}"
                for text, kinds in texts.items()
            ]
            merged[name] = {**next(iter(having.values())), "description": " ".join(described)}
        description = "What is checked: each type has keys of its own."
        merged["type"] = {"enum": list(mapping), "type": "string", "description": description}
        return merged

    def _resolved(self, node: Node) -> Node:
        while True:
            if "$ref" in node:
                node = self._definitions[node["$ref"].rpartition("/")[2]]
            elif "anyOf" in node:
                node = next(option for option in node["anyOf"] if option.get("type") != "null")
            else:
                return node


def _step(data: Any, part: str | int) -> Any:
    if isinstance(data, Mapping):
        return data.get(part)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return None


@cache
def catalogue() -> Catalogue:
    from oatie_ops.config.schema import json_schema

    return Catalogue(json_schema())
