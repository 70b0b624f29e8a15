"""Fields of an object as server-side apply sees them: by the published schemas, with the keys of its lists.

A path is a tuple of steps: the name of a field, or for an item of a list of type "map" the values of its
keys. Every other list, and what the schema calls atomic, is one leaf.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate

Object = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """The item of a list whose keys have these values, as sorted pairs."""

    keys: tuple[tuple[str, Any], ...]

    def matches(self, item: Any) -> bool:
        return isinstance(item, dict) and all(item.get(key) == value for key, value in self.keys)

    def __str__(self) -> str:
        return "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in self.keys) + "]"


Step = str | Item
FieldPath = tuple[Step, ...]
EXISTS = "."
UNOWNED = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
DEFAULT_KEYS = {"protocol": "TCP"}


@cache
def definitions() -> Object:
    directory = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    newest = max(
        (each for each in directory.iterdir() if each.name.endswith("-local")),
        key=lambda each: int(each.name.split(".")[1]),
    )
    found: Object = json.loads((newest / "_definitions.json").read_text())["$defs"]
    return found


@cache
def root(version: str, kind: str) -> str:
    """The name of the definition of that kind."""
    group, _, number = version.rpartition("/")
    for name, each in definitions().items():
        for known in each.get("x-kubernetes-group-version-kind", ()):
            if (known["group"], known["version"], known["kind"]) == (group, number, kind):
                return name
    raise KeyError(kind)


def resolved(schema: Object) -> Object:
    """With what it refers to; what stands beside the reference (such as the type of a list) counts first."""
    for one in schema.get("allOf", ()):
        schema = {**one, **schema}
    reference = schema.get("$ref")
    return {**definitions()[reference.rpartition("/")[2]], **schema} if reference else schema


def leaves(tree: Any, schema: Object, prefix: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """Every field that is set, with its value; items of lists also with ``EXISTS``."""
    schema = resolved(schema)
    if isinstance(tree, dict) and tree and schema.get("x-kubernetes-map-type") != "atomic":
        for name, value in tree.items():
            if (*prefix, name) not in UNOWNED:
                yield from leaves(value, _below(schema, name), (*prefix, name))
    elif isinstance(tree, list) and tree and schema.get("x-kubernetes-list-type") == "map":
        for each in tree:
            item = item_of(each, schema)
            yield (*prefix, item, EXISTS), None
            yield from leaves(each, schema.get("items", {}), (*prefix, item))
    elif prefix:
        yield prefix, tree


def item_of(each: Object, schema: Object) -> Item:
    keys = schema["x-kubernetes-list-map-keys"]
    return Item(tuple(sorted((key, each.get(key, DEFAULT_KEYS.get(key))) for key in keys)))


def _below(schema: Object, name: str) -> Object:
    found = schema.get("properties", {}).get(name)
    if found is None:
        more = schema.get("additionalProperties")
        found = more if isinstance(more, dict) else {}
    return dict(found)


def put(tree: Any, path: FieldPath, value: Any) -> None:
    *steps, last = path
    for index, step in enumerate(steps):
        following = path[index + 1]
        tree = _into(tree, step, [] if isinstance(following, Item) else {})
    if last == EXISTS:
        return
    if isinstance(last, Item):
        _into(tree, last, {})
    else:
        tree[last] = copy.deepcopy(value)


def _into(tree: Any, step: Step, empty: Any) -> Any:
    if not isinstance(step, Item):
        if not isinstance(tree.get(step), type(empty)):
            tree[step] = empty
        return tree[step]
    found = next((each for each in tree if step.matches(each)), None)
    if found is None:
        found = dict(step.keys)
        tree.append(found)
    return found


def remove(tree: Any, path: FieldPath) -> None:
    *steps, last = path
    if last == EXISTS:
        *steps, last = steps
    elif isinstance(steps[-1], Item) and last in dict(steps[-1].keys):
        return  # goes with its item
    for step in steps:
        if isinstance(step, Item):
            tree = next((each for each in tree if step.matches(each)), None)
        else:
            tree = tree.get(step) if isinstance(tree, dict) else None
        if tree is None:
            return
    if isinstance(last, Item):
        tree[:] = [each for each in tree if not last.matches(each)]
    else:
        tree.pop(last, None)


def shown(path: FieldPath) -> str:
    """As the API writes it: ``.spec.template.spec.containers[name="app"].image``."""
    return "".join(str(step) if isinstance(step, Item) else f".{step}" for step in path)


def fields_v1(paths: Iterator[FieldPath] | set[FieldPath]) -> Object:
    """As ``managedFields`` has them."""
    made: Object = {}
    for path in paths:
        tree = made
        for step in path:
            if step == EXISTS:
                tree[EXISTS] = {}
                break
            name = f"k:{json.dumps(dict(step.keys))}" if isinstance(step, Item) else f"f:{step}"
            tree = tree.setdefault(name, {})
    return made
