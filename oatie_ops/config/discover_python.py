"""ASGI and WSGI applications in the syntax trees of the Python files here; nothing is imported or run."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import field, replace
from pathlib import Path

from oatie_ops.config import discover_scripts
from oatie_ops.config.candidates import Candidate, Obstacle
from oatie_ops.config.discover_build import installable
from oatie_ops.config.python_syntax import READY_PATHS, read
from oatie_ops.records import dataclass

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


# A module is imported from a directory on the import path; src/ is not there by itself.
_IMPORTED = re.compile(rb"^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


@dataclass
class Scan:
    """``mute`` are files in the root that say nothing of applications, so nobody has parsed them yet."""

    root: Path
    candidates: list[Candidate] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    mute: list[tuple[Path, bytes]] = field(default_factory=list)

    def mute_obstacles(self) -> list[Obstacle]:
        """Those of them that do not parse: an application that was cut off or garbled looks like that."""
        parsed = ((path, _parsed(content)) for path, content in self.mute)
        return [_unparsable(self.root, path, tree, 0.0) for path, tree in parsed if isinstance(tree, Failure)]


@dataclass(frozen=True)
class Failure:
    line: int
    why: str


def scan(root: Path) -> Scan:
    seen = Scan(root)
    in_src: set[str] = set()
    for path, base in _sources(root):
        is_root = path.parent == root
        try:
            content = path.read_bytes()
        except OSError as error:
            if is_root:
                failure = Failure(1, f"cannot be read ({error.strerror or error})")
                seen.obstacles.append(_unparsable(root, path, failure, _potential(root, base, path)))
            continue
        if base != root:
            in_src.update(name.decode() for name in _IMPORTED.findall(content))
        if len(content) > _MAX_BYTES:
            continue
        if not _WORTH_PARSING.search(content):
            if is_root and not _is_program(seen, path, content):
                seen.mute.append((path, content))
            continue
        tree = _parsed(content)
        if isinstance(tree, Failure):
            seen.obstacles.append(_unparsable(root, path, tree, _potential(root, base, path)))
        elif found := list(_candidates(root, base, path, tree, content)):
            seen.candidates += found
        elif is_root:
            _is_program(seen, path, content)
    if any(candidate.in_src for candidate in seen.candidates) and not installable(root):
        _without_installation(seen, in_src)
    return seen


def _is_program(seen: Scan, path: Path, content: bytes) -> bool:
    """Notes a program that serves by itself; one that does not parse is none for now."""
    if not discover_scripts.WORTH_PARSING.search(content):
        return False
    tree = _parsed(content)
    source = content.decode("utf-8", "replace")
    found = discover_scripts.program(path.name, tree, source) if isinstance(tree, ast.Module) else None
    seen.candidates += [found] if found else []
    return found is not None


def _parsed(content: bytes) -> ast.Module | Failure:
    try:
        return ast.parse(content)
    except SyntaxError as error:
        return Failure(error.lineno or 1, f"{type(error).__name__}: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Failure(1, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def _unparsable(root: Path, path: Path, failure: Failure, potential: float) -> Obstacle:
    return Obstacle(
        path=str(path.relative_to(root)),
        line=failure.line,
        what=f"{failure.why}, so it cannot be told whether it holds the application",
        potential=potential,
        fix=f"correct {path.relative_to(root)}",
    )


def _potential(root: Path, base: Path, path: Path) -> float:
    dotted = _module_name(base, path)
    return round(0.8 + _place_bonus(dotted, "app", path.relative_to(root)), 3) if dotted else 0.0


def _without_installation(seen: Scan, imported: set[str]) -> None:
    """Nothing can install what is in src/: it is named from the root, where it does without its own name."""
    source = seen.root / "src"
    own = {path.stem for path in source.iterdir()}.intersection(imported)
    found, seen.candidates = seen.candidates, []
    for candidate in found:
        if not candidate.in_src or not own:
            name = f"src.{candidate.run}" if candidate.in_src else candidate.run
            seen.candidates.append(replace(candidate, run=name, in_src=False))
            continue
        place, _, text = candidate.evidence.partition(" ")
        path, _, line = place.rpartition(":")
        seen.obstacles.append(
            Obstacle(
                path,
                int(line),
                f"{text}: it is imported as {', '.join(sorted(own))}, which src/ hides until it is installed",
                candidate.confidence,
                "add a pyproject.toml with a [project] table (then `pip install .` installs it)",
            )
        )


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
            in_src=base != root,
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
