"""What installs the dependencies of a Python application, and the application where it is in src/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oatie_ops.paths import read_regular

REQUIREMENTS = "pip install -r requirements.txt"
INSTALL = "pip install ."
# Directories that setuptools does not take for packages of a project without src/.
_NO_PACKAGES = {
    "benchmark", "benchmarks", "bin", "build", "ci", "dist", "doc", "docs", "example", "examples",
    "node_modules", "scripts", "src", "tasks", "test", "tests", "tools", "util", "utils", "venv",
}  # fmt: skip


def python_build(root: Path, in_src: bool) -> tuple[str, ...]:
    """Commands for ``[deploy] build``; empty where there is nothing to install.

    What is in src/ can only be imported once it is installed. Elsewhere the project is installed for the
    sake of its dependencies, so not without any, and not where requirements.txt lists them.
    """
    lines = [REQUIREMENTS] if (root / "requirements.txt").is_file() else []
    project = _pyproject(root)
    if in_src:
        return (*lines, INSTALL) if _installable(root, project) else tuple(lines)
    if not lines and _has_dependencies(root, project) and _packs_without_help(root, project):
        return (INSTALL,)
    return tuple(lines)


def installable(root: Path) -> bool:
    """Can ``pip install .`` make something of this directory?"""
    return _installable(root, _pyproject(root))


def static_dependencies(root: Path) -> bool:
    """Does pyproject.toml list dependencies in [project], so that they can be installed without the code?"""
    found = _table(_pyproject(root), "project").get("dependencies")
    return isinstance(found, list) and bool(found)


def _installable(root: Path, project: dict[str, Any]) -> bool:
    return "project" in project or "build-system" in project or (root / "setup.py").is_file()


def _has_dependencies(root: Path, project: dict[str, Any]) -> bool:
    table = _table(project, "project")
    dynamic = table.get("dynamic")
    return (
        bool(table.get("dependencies"))
        or (isinstance(dynamic, list) and "dependencies" in dynamic)
        or (bool(_table(project, "tool", "poetry", "dependencies")) and "build-system" in project)
        or ("project" not in project and (root / "setup.py").is_file())
    )


def _packs_without_help(root: Path, project: dict[str, Any]) -> bool:
    """setuptools, also the default, refuses to guess which of several directories are the package."""
    backend = _table(project, "build-system").get("build-backend", "setuptools")
    told = bool(_table(project, "tool", "setuptools")) or (root / "setup.py").is_file()
    if told or not str(backend).startswith("setuptools"):
        return True
    return sum(map(_looks_like_package, _entries(root))) <= 1


def _looks_like_package(directory: Path) -> bool:
    if not directory.name.isidentifier() or directory.name in _NO_PACKAGES or not directory.is_dir():
        return False
    return not (directory / "pyvenv.cfg").exists()


def _entries(root: Path) -> list[Path]:
    try:
        return list(root.iterdir())
    except OSError:
        return []


def _pyproject(root: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(read_regular(root / "pyproject.toml").decode())
    except (OSError, ValueError, RecursionError):
        return {}


def _table(data: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}
