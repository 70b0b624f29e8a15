"""Which file configures this directory, and where its root is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from oatie_ops.config.spans import KeyPath
from oatie_ops.paths import read_regular
from oatie_ops.records import dataclass

FILE_NAME = "oatie.toml"
PYPROJECT = "pyproject.toml"
PYPROJECT_TABLE: KeyPath = ("tool", "oatie")


@dataclass(frozen=True)
class Located:
    """``file`` None: nothing is configured. ``rival`` is a second configuration beside it, an error."""

    root: Path
    file: Path | None = None
    rival: Path | None = None

    @property
    def table(self) -> KeyPath:
        """Where in the file the configuration is."""
        return PYPROJECT_TABLE if self.file is not None and self.file.name == PYPROJECT else ()


def locate(start: Path) -> Located:
    """The nearest directory upwards with a configuration or a state directory; else ``start`` itself."""
    start = start.absolute()
    for directory in _upwards(start):
        file, pyproject = directory / FILE_NAME, directory / PYPROJECT
        in_pyproject = has_table(pyproject)
        if os.path.lexists(file):
            return Located(directory, file, pyproject if in_pyproject else None)
        if in_pyproject:
            return Located(directory, pyproject)
        if (directory / ".oatie").is_dir():
            return Located(directory)
    return Located(start)


def find_file(start: Path) -> Path | None:
    return locate(start).file


def has_table(pyproject: Path) -> bool:
    """Is there a ``[tool.oatie]``? A file that is no TOML has none: its other readers will complain."""
    try:
        content = read_regular(pyproject)
    except OSError:
        return False
    if b"oatie" not in content:
        return False
    import tomllib

    try:
        tool = tomllib.loads(content.decode()).get("tool")
    except (ValueError, RecursionError):
        return False
    return isinstance(tool, dict) and "oatie" in tool


def _upwards(start: Path) -> Iterator[Path]:
    """Up to the root of the repository; never into a directory where others could plant a file."""
    home = _home()
    trusted = {0, os.geteuid(), _owner(start)}
    for directory in (start, *start.parents):
        if directory != start and (directory == home or not _is_safe(directory, trusted)):
            return
        yield directory
        if (directory / ".git").exists():
            return


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # a container that runs as a number nobody has
        return None


def _is_safe(directory: Path, owners: set[int]) -> bool:
    try:
        info = directory.stat()
    except OSError:
        return False
    return info.st_uid in owners and not info.st_mode & stat.S_IWOTH


def _owner(directory: Path) -> int:
    try:
        return directory.stat().st_uid
    except OSError:
        return os.geteuid()
