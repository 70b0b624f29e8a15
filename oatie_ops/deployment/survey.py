"""What a release of this checkout would hold. Only looks, so a dry run may call it too."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from oatie_ops.deployment.databases import (
    SIDECARS,
    always_left_out,
    databases_under,
    is_database,
    is_database_file,
)
from oatie_ops.deployment.ignore import Rules
from oatie_ops.deployment.source import tracked_but_ignored
from oatie_ops.errors import ConfigInvalid, OatieError

Kind = Literal["directory", "file", "symlink"]


class SnapshotFailed(OatieError):
    """The checkout could not be read or copied; nothing of the attempt is left."""


@dataclass(frozen=True, slots=True)
class Entry:
    """``path`` is relative, with ``/``; ``target`` is what a symlink in the release will point to."""

    path: str
    kind: Kind
    mode: int
    size_bytes: int = 0
    target: str = ""


@dataclass(frozen=True)
class SharedLink:
    """Linked to the checkout instead of copied: found to be a database, or named in [deploy] shared."""

    path: str
    target: Path
    reason: Literal["database", "shared"]


@dataclass(frozen=True)
class Survey:
    """``skipped``: sockets, pipes and devices, which cannot be copied."""

    root: Path
    entries: tuple[Entry, ...]
    links: tuple[SharedLink, ...]
    skipped: tuple[str, ...]

    @property
    def file_count(self) -> int:
        return sum(entry.kind != "directory" for entry in self.entries)

    @property
    def total_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.entries)


def survey(
    root: Path, *, state_home: Path, exclude: Sequence[str] = (), shared: Sequence[str] = ()
) -> Survey:
    """Walks `root` by the rules of .gitignore, with the patterns of `exclude` on top.

    A ``!`` pattern in `exclude` brings back what .gitignore leaves out (built assets, say). Files that git
    tracks belong to the release even where .gitignore names them. Raises `SnapshotFailed` for what cannot
    be read, `ConfigInvalid` for a `shared` path that leads out of the checkout.
    """
    root = root.resolve()
    links = [SharedLink(path, root / path, "shared") for path in _shared_paths(shared)]
    walker = _Walker(root, state_home.resolve(), Rules(exclude), {link.path for link in links})
    walker.walk("", _ancestor_layers(root))
    walker.add_tracked(tracked_but_ignored(root))
    links += [SharedLink(path, root / path, "database") for path in sorted(walker.databases)]
    sidecars = {link.path + suffix for link in links for suffix in SIDECARS}
    entries = tuple(entry for entry in walker.entries.values() if entry.path not in sidecars)
    return Survey(root, entries, tuple(links), tuple(walker.skipped))


@dataclass(frozen=True)
class _Layer:
    """The rules of one .gitignore, which stands in the directory `base` of the checkout, or above it."""

    rules: Rules
    base: str = ""
    above: str = ""

    def verdict(self, path: str, is_directory: bool) -> bool | None:
        return self.rules.verdict(self.above + path.removeprefix(self.base), is_directory)


@dataclass
class _Walker:
    root: Path
    state_home: Path
    exclude: Rules
    shared: set[str]
    entries: dict[str, Entry] = field(default_factory=dict)
    databases: set[str] = field(default_factory=set)
    skipped: list[str] = field(default_factory=list)

    def walk(self, directory: str, layers: tuple[_Layer, ...]) -> None:
        """`directory` is "" or ends with a slash."""
        place = self.root / directory
        own = _read_rules(place / ".gitignore")
        layers = (*layers, _Layer(own, base=directory)) if own else layers
        try:
            found = sorted(os.scandir(place), key=lambda item: item.name)
        except OSError as error:
            raise unreadable(directory or ".", error) from error
        for item in found:
            path = directory + item.name
            is_directory = item.is_dir(follow_symlinks=False)
            if self._never(path) or path in self.shared:
                continue
            excluded = self.exclude.verdict(path, is_directory)
            if excluded is None and self._ignored(path, is_directory, layers):
                self._look_for_databases(path, is_directory)
            elif not excluded:
                self._take(path)
                if is_directory:
                    self.walk(path + "/", layers)

    def add_tracked(self, paths: frozenset[str]) -> None:
        for path in sorted(paths - self.entries.keys() - self.shared - self.databases):
            steps = [*map(str, reversed(PurePosixPath(path).parents[:-1])), path]
            left_out = any(self._never(step) or step in self.shared for step in steps)
            excluded = any(self.exclude.verdict(step, step != path) for step in steps)
            if not left_out and not excluded and os.path.lexists(self.root / path):
                for step in steps:
                    if step not in self.entries:
                        self._take(step)

    def _never(self, path: str) -> bool:
        place = self.root / path
        return always_left_out(place) or place.suffix == ".pyc" or place == self.state_home

    @staticmethod
    def _ignored(path: str, is_directory: bool, layers: tuple[_Layer, ...]) -> bool:
        verdicts = (layer.verdict(path, is_directory) for layer in reversed(layers))
        return next((verdict for verdict in verdicts if verdict is not None), False)

    def _look_for_databases(self, path: str, is_directory: bool) -> None:
        """Databases are rarely committed, so most of them are found among what git ignores."""
        place = self.root / path
        if is_directory and not place.name.startswith("."):
            found = [f"{path}/{inner}" for inner in databases_under(place)]
        else:
            found = [path] if is_database_file(place) else []
        for each in found:
            covered = any(each == shared or each.startswith(f"{shared}/") for shared in self.shared)
            if not covered and not self.exclude.verdict(each, False):
                self.databases.add(each)

    def _take(self, path: str) -> None:
        place = self.root / path
        try:
            info = place.lstat()
            if stat.S_ISLNK(info.st_mode):
                entry = Entry(path, "symlink", 0, target=_link_target(self.root, path, place.readlink()))
            elif stat.S_ISDIR(info.st_mode):
                entry = Entry(path, "directory", stat.S_IMODE(info.st_mode))
            elif not stat.S_ISREG(info.st_mode):
                self.skipped.append(path)
                return
            elif is_database(place, info.st_size):
                self.databases.add(path)
                return
            else:
                entry = Entry(path, "file", stat.S_IMODE(info.st_mode), info.st_size)
        except OSError as error:
            raise unreadable(path, error) from error
        self.entries[path] = entry


def _link_target(root: Path, path: str, target: Path) -> str:
    """A relative link stays true inside the copy; one that leads out of it must become absolute."""
    place = os.path.normpath(root / path / ".." / target)
    if target.is_absolute() or Path(place) == root or root in Path(place).parents:
        return os.fspath(target)
    return place


def _ancestor_layers(root: Path) -> tuple[_Layer, ...]:
    """The .gitignore files between `root` and the top of its repository, when `root` is a part of one."""
    above = [root, *root.parents]
    top = next((index for index, place in enumerate(above) if (place / ".git").exists()), 0)
    layers: list[_Layer] = []
    for place in reversed(above[1 : top + 1]):
        rules = _read_rules(place / ".gitignore")
        if rules:
            layers.append(_Layer(rules, above=root.relative_to(place).as_posix() + "/"))
    ignored = any(layer.rules.verdict(step, True) for layer in layers for step in _steps_to(layer.above))
    # Somebody who deploys from a directory that the repository ignores wants its files all the same.
    return () if ignored else tuple(layers)


def _steps_to(prefix: str) -> list[str]:
    names = prefix.rstrip("/").split("/")
    return ["/".join(names[:depth]) for depth in range(1, len(names) + 1)]


def _read_rules(path: Path) -> Rules | None:
    try:
        return Rules(path.read_text(encoding="utf-8", errors="surrogateescape").splitlines())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(os.fspath(path), error) from error


def _shared_paths(shared: Sequence[str]) -> list[str]:
    """Normalised, without those that lie in another one."""
    paths = [PurePosixPath(text) for text in shared]
    for text, path in zip(shared, paths, strict=True):
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ConfigInvalid(
                f"deploy.shared: {text!r} is not a path inside the checkout",
                why="shared paths are linked from each release to the same place in the checkout",
                fix="name it relative to the directory of oatie.toml, without `..`",
            )
    return sorted({str(path) for path in paths if not any(parent in paths for parent in path.parents)})


def unreadable(path: str, error: OSError) -> SnapshotFailed:
    return SnapshotFailed(
        f"cannot read {path} of the checkout",
        why=error.strerror or str(error),
        fix="make it readable for this user, or leave it out with a pattern in [deploy] exclude",
    )
