"""Does what ``app.run`` names exist in the checkout? Told by ``config check``, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from oatie_ops.config.discover import discover
from oatie_ops.config.issues import WARNING, Issue
from oatie_ops.config.layers import Origin, Source
from oatie_ops.config.settings import Settings

_USUAL_ATTRIBUTES = ("app", "application", "create_app")


def run_issues(settings: Settings, origins: Mapping[str, Origin]) -> Iterator[Issue]:
    """A warning at most: the module may be in a dependency that only the build installs."""
    origin = origins.get("app.run")
    if settings.app.run is None or origin is None or origin.source is Source.DISCOVERED:
        return
    place = (origin.file, origin.line, origin.column)
    what = _wrong(settings.root, settings.app.run)
    if not what and not settings.deploy.build and (package := not_installed(settings)):
        message = f"names {package}, which is in src/ and not on the import path"
        hint = 'in [deploy], build = ["pip install ."] installs it'
        yield Issue(WARNING, "not-installed", "app.run", message, *place, hint=hint, source=origin.describe())
    if what:
        near = [candidate.run for candidate in discover(settings.root) if candidate.run]
        hint = f"found here: {', '.join(near[:3])}" if near else ""
        yield Issue(WARNING, "run-not-found", "app.run", what, *place, hint=hint, source=origin.describe())


def not_installed(settings: Settings) -> str:
    """The package of ``app.run`` where only src/ has it, so that the checkout cannot be run as it is."""
    root, package = settings.root, (settings.app.run or "").partition(":")[0].partition(".")[0]
    if not package or (root / package).exists() or (root / f"{package}.py").exists():
        return ""
    in_src = (root / "src" / package).is_dir() or (root / "src" / f"{package}.py").is_file()
    return package if in_src and not _is_installed(package) else ""


def _wrong(root: Path, run: str) -> str:
    module, _, attribute = run.partition(":")
    file = _file(root, module)
    if file is None:
        return "" if _is_installed(module) else "names a module that is not in this directory"
    names = _names(file)
    wanted = (attribute.partition(".")[0],) if attribute else _USUAL_ATTRIBUTES
    if names is None or any(name in names for name in wanted):
        return ""
    near = get_close_matches(wanted[0], names, n=1)
    has = f" (it has {near[0]})" if near else ""
    return f"names something that {file.relative_to(root)} does not define{has}"


def _file(root: Path, module: str) -> Path | None:
    path = Path(*module.split("."))
    for base in (root, root / "src"):
        for file in (base / path.with_suffix(".py"), base / path / "__init__.py"):
            if file.is_file():
                return file
    return None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _names(file: Path) -> set[str] | None:
    """What the module defines at its top level; None where that cannot be told from its text."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            if any(alias.name == "*" for alias in node.names):
                return None
            names.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return None if "__getattr__" in names else names
