"""The arrows between rooms point one way: read from every import of the package, the late ones included."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import oatie_ops

PACKAGE = Path(oatie_ops.__file__).parent
FACES = {"cli", "api", "__main__"}
# Rooms inside a room, which others use without the room around them.
INNER = ("oatie_ops.recovery.breaker",)
# The one way back is taken late, where the reason stands.
KNOWN = {
    ("redaction", "secrets"): "text is redacted everywhere; what does it is loaded once there is a secret",
    ("supervisor", "deployment"): "a program may stand behind the Caddy that a deploy puts in front",
}
SDK_ROOMS = ("oatie_ops.secrets.", "oatie_ops.deployment.targets.", "oatie_ops.deployment.containers.")
SDKS = ("azure", "boto3", "botocore", "docker", "google", "kubernetes")


@cache
def imports() -> Mapping[str, Mapping[str, bool]]:
    """By module: what it imports, and whether at run time (not only for types)."""
    modules = dict(_modules())
    found: dict[str, dict[str, bool]] = {}
    for name, path in modules.items():
        tree = ast.parse(path.read_bytes())
        typing = {
            id(node)
            for block in ast.walk(tree)
            if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
            for statement in block.body
            for node in ast.walk(statement)
        }
        targets: dict[str, bool] = defaultdict(bool)
        for node in ast.walk(tree):
            for target in _targets(node, modules):
                targets[target] |= id(node) not in typing
        targets.pop(name, None)
        found[name] = targets
    return found


def _modules() -> Iterator[tuple[str, Path]]:
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _targets(node: ast.AST, modules: Mapping[str, Path]) -> Iterator[str]:
    """The modules that an import statement names; ``from package import module`` names the module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield whole if whole in modules else node.module


def room(module: str) -> str:
    inner = next((each for each in INNER if f"{module}.".startswith(f"{each}.")), None)
    return (inner or ".".join(module.split(".")[:2])).removeprefix("oatie_ops.")


def require_no_circle(graph: Mapping[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" <- ".join(circle.args[1]))


def test_the_reader_sees_early_late_and_typing_imports() -> None:
    assert imports()["oatie_ops.errors"]["oatie_ops.redaction"] is True
    assert imports()["oatie_ops.redaction"]["oatie_ops.secrets.boundary"] is True
    assert imports()["oatie_ops.recovery.breaker.declared"]["oatie_ops.config.settings"] is False


def test_no_module_needs_itself() -> None:
    """Types included: what only the type checker sees in a circle is read in a circle as well."""
    ours = {
        name: {target for target in targets if target.startswith("oatie_ops")}
        for name, targets in imports().items()
    }
    require_no_circle(ours)


def test_no_layer_imports_a_face() -> None:
    upward = [
        f"{name} -> {target}"
        for name, targets in imports().items()
        for target in targets
        if room(target) in FACES and room(name) not in FACES
    ]
    assert upward == []


def test_the_rooms_stand_one_above_the_other() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for name, targets in imports().items():
        below = {room(target) for target, runs in targets.items() if runs and target.startswith("oatie_ops.")}
        graph[room(name)] |= below - {room(name)}
    seen = {(above, below) for above, rooms in graph.items() for below in rooms}
    assert seen.issuperset(KNOWN), "an arrow that is gone must not stay allowed"
    require_no_circle(
        {above: {below for below in rooms if (above, below) not in KNOWN} for above, rooms in graph.items()}
    )


def test_the_sdk_of_an_engine_or_a_cloud_is_imported_in_the_rooms_of_engines_and_secrets_only() -> None:
    outside = [
        f"{name} -> {target}"
        for name, targets in imports().items()
        for target, runs in targets.items()
        if runs and target.split(".")[0] in SDKS
        if not name.startswith(SDK_ROOMS)
    ]
    assert outside == []
