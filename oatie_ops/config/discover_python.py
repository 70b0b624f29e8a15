"""ASGI and WSGI applications in the syntax trees of the Python files here; nothing is imported or run."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from oatie_ops.config.discover import Candidate

# Fully qualified callables whose result is an application.
FRAMEWORKS = {
    "fastapi.FastAPI": "FastAPI",
    "fastapi.applications.FastAPI": "FastAPI",
    "starlette.applications.Starlette": "Starlette",
    "litestar.Litestar": "Litestar",
    "litestar.app.Litestar": "Litestar",
    "quart.Quart": "Quart",
    "quart.app.Quart": "Quart",
    "flask.Flask": "Flask",
    "flask.app.Flask": "Flask",
    "sanic.Sanic": "Sanic",
    "blacksheep.Application": "BlackSheep",
    "blacksheep.server.Application": "BlackSheep",
    "falcon.asgi.App": "Falcon",
    "falcon.App": "Falcon",
    "falcon.API": "Falcon",
    "bottle.Bottle": "Bottle",
    "bottle.default_app": "Bottle",
    "pyramid.config.Configurator.make_wsgi_app": "Pyramid",
    "django.core.asgi.get_asgi_application": "Django",
    "django.core.wsgi.get_wsgi_application": "Django",
    "channels.routing.ProtocolTypeRouter": "Django Channels",
    "connexion.AsyncApp": "Connexion",
    "connexion.FlaskApp": "Connexion",
    "fasthtml.common.FastHTML": "FastHTML",
}
_FACTORY_NAMES = ("create_app", "make_app", "build_app", "get_app", "create_application", "get_application")
_USUAL_ATTRIBUTES = {"app": 0.06, "application": 0.05, "api": 0.02, "server": 0.01}
_USUAL_MODULES = {"main": 0.04, "app": 0.04, "asgi": 0.05, "wsgi": 0.03, "server": 0.02, "api": 0.02}
# Of several that an application has, the first here says most about being ready.
_READY_PATHS = (
    "/health/ready",
    "/ready",
    "/readyz",
    "/healthz/ready",
    "/-/ready",
    "/health",
    "/healthz",
)

_SKIPPED = {
    "node_modules", "site-packages", "venv", "env", "build", "dist", "migrations", "docs", "doc",
    "tests", "test", "examples", "example", "benchmarks", "scripts", "static", "templates",
}  # fmt: skip
_MAX_DEPTH = 3
_MAX_FILES = 400
_MAX_BYTES = 400_000
_WORTH_PARSING = re.compile(
    rb"\b(FastAPI|Starlette|Litestar|Quart|Flask|Sanic|Bottle|falcon|blacksheep|connexion|FastHTML|bottle"
    rb"|get_[aw]sgi_application|ProtocolTypeRouter|make_wsgi_app|create_app|make_app|build_app|get_app"
    rb"|scope\s*,\s*receive|start_response|create_application|get_application)"
)


@dataclass
class _Module:
    """What one file says about itself."""

    imports: dict[str, str] = field(default_factory=dict)  # local name -> fully qualified
    factories: dict[str, str] = field(default_factory=dict)  # function -> framework
    asgi_classes: set[str] = field(default_factory=set)
    found: list[tuple[str, str, int, float]] = field(default_factory=list)  # attribute, kind, line, score
    paths: set[str] = field(default_factory=set)  # string literals that look like ready paths


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
    module = _read(tree)
    dotted = _module_name(base, path)
    if dotted is None:
        return
    lines = content.decode("utf-8", "replace").splitlines()
    ready = next((known for known in _READY_PATHS if known in module.paths), None)
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


def _read(tree: ast.Module) -> _Module:
    module = _Module()
    _literals(tree, module)
    statements = list(_top_level(tree.body))
    for node in statements:
        _note_import(node, module)
    for node in statements:
        if isinstance(node, ast.ClassDef) and _asgi_method(node):
            module.asgi_classes.add(node.name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _note_function(node, module)
    for node in statements:
        _note_assignment(node, module)
    return module


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run on import; the block under ``if __name__ == "__main__"`` does not."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "__main__" not in ast.dump(node.test):
            yield from _top_level(node.body)
            yield from _top_level(node.orelse)
        elif isinstance(node, ast.Try):
            yield from _top_level(node.body)
            for handler in node.handlers:
                yield from _top_level(handler.body)
            yield from _top_level(node.orelse)
        elif isinstance(node, ast.With):
            yield from _top_level(node.body)


def _note_import(node: ast.stmt, module: _Module) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            local = alias.asname or alias.name.partition(".")[0]
            module.imports[local] = alias.name if alias.asname else local
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            prefix = "." * node.level + (node.module or "")
            module.imports[alias.asname or alias.name] = f"{prefix}.{alias.name}"


def _qualified(node: ast.expr, module: _Module) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([module.imports.get(node.id, node.id), *reversed(parts)])


def _kind_of_call(node: ast.expr | None, module: _Module) -> str | None:
    if isinstance(node, ast.Await):
        node = node.value
    if not isinstance(node, ast.Call):
        return None
    name = _qualified(node.func, module)
    if name in FRAMEWORKS:
        return FRAMEWORKS[name]
    if name in module.factories:
        return module.factories[name]
    if name in module.asgi_classes:
        return "ASGI"
    return None


def _note_function(node: ast.FunctionDef | ast.AsyncFunctionDef, module: _Module) -> None:
    arguments = [*node.args.posonlyargs, *node.args.args]
    names = [argument.arg.lstrip("_") for argument in arguments]
    if isinstance(node, ast.AsyncFunctionDef):
        if names == ["scope", "receive", "send"]:
            module.found.append((node.name, "ASGI", node.lineno, 0.72))
        return
    if len(names) == 2 and names[1] == "start_response":
        module.found.append((node.name, "WSGI", node.lineno, 0.68))
        return
    required = len(arguments) - len(node.args.defaults)
    required += sum(default is None for default in node.args.kw_defaults)
    kind = _made_by(node, module)
    if kind is None:
        return
    module.factories[node.name] = kind
    if required == 0 and (node.name in _FACTORY_NAMES or node.name.endswith("_app")):
        module.found.append((node.name, f"{kind} factory", node.lineno, 0.66))


def _made_by(function: ast.FunctionDef, module: _Module) -> str | None:
    """The framework of the application that this function returns, by its annotation or its body."""
    if function.returns is not None:
        annotated = _qualified(function.returns, module)
        if annotated in FRAMEWORKS:
            return FRAMEWORKS[annotated]
    local = _Module(imports=dict(module.imports), factories=module.factories)
    made: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Import | ast.ImportFrom):
            _note_import(node, local)
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            kind = _kind_of_call(node.value, local)
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            made.update({target.id: kind for target in targets if kind and isinstance(target, ast.Name)})
    for node in ast.walk(function):
        if isinstance(node, ast.Return):
            kind = _kind_of_call(node.value, local)
            if kind is None and isinstance(node.value, ast.Name):
                kind = made.get(node.value.id)
            if kind:
                return kind
    return None


def _note_assignment(node: ast.stmt, module: _Module) -> None:
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        targets, value = [node.target], node.value
    else:
        return
    kind = _kind_of_call(value, module)
    score = 0.8
    if kind is None and isinstance(value, ast.Call):
        if _qualified(value.func, module).rpartition(".")[2] not in _FACTORY_NAMES:
            return
        kind, score = "application", 0.7  # made by a factory from another module
    if kind is None:
        return
    for target in targets:
        if isinstance(target, ast.Name):
            _note_attribute(module, target.id, kind, node.lineno, score)


def _note_attribute(module: _Module, name: str, kind: str, line: int, score: float) -> None:
    # Sub-applications and blueprints stand beside the one that is served; an underscore says "not this".
    if name.startswith("_"):
        return
    module.found = [entry for entry in module.found if entry[0] != name]
    module.found.append((name, kind, line, score))


def _asgi_method(node: ast.ClassDef) -> bool:
    return any(
        isinstance(item, ast.AsyncFunctionDef)
        and item.name == "__call__"
        and [argument.arg for argument in item.args.args][1:] == ["scope", "receive", "send"]
        for item in node.body
    )


def _literals(tree: ast.Module, module: _Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in _READY_PATHS:
            module.paths.add(node.value)
