"""``oatie --version --json``: what is installed here, for bug reports and for scripts."""

from __future__ import annotations

import json
import platform
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from oatie_ops._version import __version__

SCHEMA = "oatie.version/v1"
PACKAGES = ("typer", "starlette", "uvicorn", "pydantic", "psutil")
# extra -> a module that only it brings
EXTRAS = {
    "aws": "boto3",
    "azure": "azure.identity",
    "docker": "docker",
    "fast": "uvloop",
    "gcp": "google.cloud.secretmanager",
    "kubernetes": "kubernetes",
    "postgres": "psycopg",
    "redis": "redis",
}


def document() -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "version": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "extras": [name for name, module in EXTRAS.items() if installed(module)],
        "packages": {name: version_of(name) for name in PACKAGES},
    }


def text() -> str:
    return json.dumps(document(), indent=2 if sys.stdout.isatty() else None)


def installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


def version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Of a checkout that is run in place; a wheel is told by its version. Read without git."""
    git = Path(__file__).parents[2] / ".git"
    try:
        if git.is_file():  # a worktree: the file names its directory
            git = Path(git.read_text().partition("gitdir:")[2].strip())
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        common = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
        reference = common / head.removeprefix("ref: ")
        if reference.exists():
            return reference.read_text().strip()
        packed = (common / "packed-refs").read_text().splitlines()
    except OSError:
        return None
    name = head.removeprefix("ref: ")
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)
