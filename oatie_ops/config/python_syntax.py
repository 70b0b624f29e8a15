"""What one Python file says about itself: imports, applications, factories. From its syntax tree alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import field

from oatie_ops.records import dataclass

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
    "django.core.asgi.get_asgi_application": "Django",
    "django.core.wsgi.get_wsgi_application": "Django",
    "channels.routing.ProtocolTypeRouter": "Django Channels",
    "connexion.AsyncApp": "Connexion",
    "connexion.FlaskApp": "Connexion",
    "fasthtml.common.FastHTML": "FastHTML",
}
_FACTORY_NAMES = ("create_app", "make_app", "build_app", "get_app", "create_application", "get_application")
# Of several that an application has, the first here says most about being ready.
READY_PATHS = (
    "/health/ready",
    "/ready",
    "/readyz",
    "/healthz/ready",
    "/-/ready",
    "/health",
    "/healthz",
)


@dataclass
class Module:
    """What one file says about itself."""

    imports: dict[str, str] = field(default_factory=dict)  # local name -> fully qualified
    factories: dict[str, str] = field(default_factory=dict)  # function -> framework
    asgi_classes: set[str] = field(default_factory=set)
    found: list[tuple[str, str, int, float]] = field(default_factory=list)  # attribute, kind, line, score
    paths: set[str] = field(default_factory=set)  # string literals that look like ready paths


def read(tree: ast.Module) -> Module:
    module = Module()
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


def _note_import(node: ast.stmt, module: Module) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            local = alias.asname or alias.name.partition(".")[0]
            module.imports[local] = alias.name if alias.asname else local
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            prefix = "." * node.level + (node.module or "")
            module.imports[alias.asname or alias.name] = f"{prefix}.{alias.name}"


def _qualified(node: ast.expr, module: Module) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([module.imports.get(node.id, node.id), *reversed(parts)])


def _kind_of_call(node: ast.expr | None, module: Module) -> str | None:
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


def _note_function(node: ast.FunctionDef | ast.AsyncFunctionDef, module: Module) -> None:
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


def _made_by(function: ast.FunctionDef, module: Module) -> str | None:
    """The framework of the application that this function returns, by its annotation or its body."""
    if function.returns is not None:
        annotated = _qualified(function.returns, module)
        if annotated in FRAMEWORKS:
            return FRAMEWORKS[annotated]
    local = Module(imports=dict(module.imports), factories=module.factories)
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


def _note_assignment(node: ast.stmt, module: Module) -> None:
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


def _note_attribute(module: Module, name: str, kind: str, line: int, score: float) -> None:
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


def _literals(tree: ast.Module, module: Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in READY_PATHS:
            module.paths.add(node.value)
