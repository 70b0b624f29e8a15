"""How the dependencies of a Python project get into its image: what is looked at, and the lines for it.

What says what to install is copied alone and first, so that the layers of the dependencies are made again
only when it changes; the project itself comes last, and only where it has to be installed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.config.discover_build import INSTALL, REQUIREMENTS, python_build, static_dependencies
from oatie_ops.paths import read_regular

# Lines of a requirements file that name something else of the checkout.
_OTHER_FILES = re.compile(r"^\s*(-[rce]\b|--(requirement|constraint|editable)\b|\.|file:)", re.MULTILINE)
_DECLARED = (
    "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\\n')"
)


@dataclass(frozen=True)
class PythonInstall:
    """``requirements``: a requirements.txt; ``alone``: it names no other file. ``uv``: a uv.lock.

    ``declared``: pyproject.toml lists the dependencies. ``project``: `pip install .` belongs to it, for an
    application in src/, or as the one way to its dependencies.
    """

    requirements: bool = False
    alone: bool = True
    uv: bool = False
    declared: bool = False
    project: bool = False

    def __bool__(self) -> bool:
        return self.requirements or self.uv or self.declared or self.project


def python_install(root: Path, run: str | None) -> PythonInstall:
    module = (run or "").partition(":")[0].partition(".")[0]
    source = root / "src" / module
    in_src = bool(module) and (source.is_dir() or source.with_suffix(".py").is_file())
    found = python_build(root, in_src)
    requirements = REQUIREMENTS in found
    uv = not requirements and (root / "uv.lock").is_file()
    return PythonInstall(
        requirements=requirements,
        alone=requirements and not _OTHER_FILES.search(_text(root / "requirements.txt")),
        uv=uv,
        declared=not requirements and not uv and static_dependencies(root),
        project=in_src and INSTALL in found if uv else INSTALL in found,
    )


def lines(install: PythonInstall) -> list[str]:
    """For the stage that builds, in its directory and with its environment in PATH."""
    made = []
    if install.requirements:
        made = ["COPY requirements.txt ./" if install.alone else "COPY . ."]
        made += ["RUN pip install -r requirements.txt"]
    elif install.uv:
        made = [
            "RUN pip install uv",
            "COPY pyproject.toml uv.lock ./",
            # "inexact": what is not in the lock stays, and that is oatie.
            "RUN UV_PROJECT_ENVIRONMENT=/venv uv sync --frozen --inexact --no-dev --no-install-project",
        ]
    elif install.declared:
        made = [
            "COPY pyproject.toml ./",
            f'RUN python3 -c "{_DECLARED}" > /tmp/requirements.txt \\',
            "    && pip install -r /tmp/requirements.txt",
        ]
    if install.project:
        known = install.requirements or install.uv or install.declared
        made += ["COPY . .", f"RUN pip install {'--no-deps ' if known else ''}."]
    return made


def _text(file: Path) -> str:
    try:
        return read_regular(file).decode(errors="replace")
    except OSError:
        return ""
