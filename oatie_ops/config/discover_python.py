"""ASGI and WSGI applications in the syntax trees of the Python files here; nothing is imported or run."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

from oatie_ops.config.discover import Candidate
from oatie_ops.config.python_syntax import READY_PATHS, read

_USUAL_ATTRIBUTES = {"app": 0.06, "application": 0.05, "api": 0.02, "server": 0.01}
_USUAL_MODULES = {"main": 0.04, "app": 0.04, "asgi": 0.05, "wsgi": 0.03, "server": 0.02, "api": 0.02}
_SKIPPED = {
    "node_modules", "site-packages", "venv", "env", "build", "dist", "migrations", "docs", "doc",
    "tests", "test", "examples", "example", "benchmarks", "scripts", "static", "templates",
}  # fmt: skip
_MAX_DEPTH = 3
_MAX_FILES = 400
_MAX_BYTES = 400_000
_WORTH_PARSING = re.compile(
    rb"\b(FastAPI|Starlette|Litestar|Quart|Flask|Sanic|Bottle|falcon|blacksheep|connexion|FastHTML|bottle"
    rb"|get_[aw]sgi_application|ProtocolTypeRouter|create_app|make_app|build_app|get_app"
    rb"|scope\s*,\s*receive|start_response|create_application|get_application)"
)


def applications(root: Path) -> Iterator[Candidate]:
    for path, base in _sources(root):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if len(content) > _MAX_BYTES or not _WORTH_PARSING.search(content):
            continue
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        yield from _candidates(root, base, path, tree, content)


def _sources(root: Path) -> Iterator[tuple[Path, Path]]:
    """Python files, nearest first, and the directory that their import starts from."""
    count = 0
    level = [root]
    for depth in range(_MAX_DEPTH + 1):
        below: list[Path] = []
        for directory in level:
            try:
                entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                path = Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    if _may_hold_code(path, depth):
                        below.append(path)
                elif entry.name.endswith(".py") and not entry.name.startswith(("test_", "conftest")):
                    count += 1
                    yield path, _import_base(root, path)
                if count >= _MAX_FILES:
                    return
        level = below


def _may_hold_code(directory: Path, depth: int) -> bool:
    name = directory.name
    if name.startswith((".", "__")) or name in _SKIPPED or name.endswith(".egg-info") or depth >= _MAX_DEPTH:
        return False
    return name.isidentifier() and not (directory / "pyvenv.cfg").exists()


def _import_base(root: Path, path: Path) -> Path:
    source = root / "src"
    return source if path.is_relative_to(source) and not (source / "__init__.py").exists() else root


def _candidates(root: Path, base: Path, path: Path, tree: ast.Module, content: bytes) -> Iterator[Candidate]:
    module = read(tree)
    dotted = _module_name(base, path)
    if dotted is None:
        return
    lines = content.decode("utf-8", "replace").splitlines()
    ready = next((known for known in READY_PATHS if known in module.paths), None)
    for attribute, kind, line, score in module.found:
        shown = path.relative_to(root)
        text = lines[line - 1].strip() if line <= len(lines) else ""
        yield Candidate(
            run=f"{dotted}:{attribute}",
            command=None,
            kind=kind,
            evidence=f"{shown}:{line} {text[:80]}",
            confidence=round(min(0.95, score + _place_bonus(dotted, attribute, path.relative_to(root))), 3),
            ready=ready,
        )


def _place_bonus(dotted: str, attribute: str, path: Path) -> float:
    last = dotted.rpartition(".")[2]
    depth = len(path.parts) - 1
    return _USUAL_ATTRIBUTES.get(attribute, 0.0) + _USUAL_MODULES.get(last, 0.0) - 0.02 * depth


def _module_name(base: Path, path: Path) -> str | None:
    parts = list(path.relative_to(base).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) if parts and all(part.isidentifier() for part in parts) else None
