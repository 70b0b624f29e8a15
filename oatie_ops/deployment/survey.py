"""What a release of this checkout would hold. Only looks, so a dry run may call it too."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from oatie_ops.deployment.databases import (
    SIDECARS,
    always_left_out,
    data_of_releases,
    databases_under,
    is_database,
    is_database_file,
)
from oatie_ops.deployment.ignore import Layer, Rules, ignored, layers_above, read_rules
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
    """Linked instead of copied.

    A database of the checkout, a path named in [deploy] shared, or a database born in an earlier release.
    """

    path: str
    target: Path
    reason: Literal["database", "shared", "inherited"]


@dataclass(frozen=True)
class Survey:
    """``skipped``: sockets, pipes and devices, which cannot be copied.

    ``to_move``: data inside a release that [deploy] shared wants in the checkout. ``unused``: data inside a
    release that this one does not see, as the checkout or [deploy] shared has something else in its place.
    """

    root: Path
    entries: tuple[Entry, ...]
    links: tuple[SharedLink, ...]
    skipped: tuple[str, ...]
    to_move: tuple[SharedLink, ...] = ()
    unused: tuple[SharedLink, ...] = ()

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
    root, state_home = root.resolve(), state_home.resolve()
    links = {path: SharedLink(path, root / path, "shared") for path in _shared_paths(root, shared)}
    walker = _Walker(root, state_home, Rules(exclude), set(links))
    try:
        walker.walk("", layers_above(root))
    except PermissionError as error:
        raise unreadable(os.fspath(error.filename), error) from error
    walker.add_tracked(tracked_but_ignored(root))
    links |= {path: SharedLink(path, root / path, "database") for path in walker.databases}
    born = _born(root, state_home / "releases", links, walker.entries)
    links |= born.linked
    left_out = {*links, *(path + suffix for path in links for suffix in SIDECARS)}
    entries = tuple(entry for entry in walker.entries.values() if entry.path not in left_out)
    return Survey(
        root,
        entries,
        tuple(links[path] for path in sorted(links)),
        tuple(walker.skipped),
        tuple(born.to_move),
        tuple(born.unused),
    )


@dataclass
class _Born:
    """The data of earlier releases: linked to, or what else becomes of it."""

    linked: dict[str, SharedLink] = field(default_factory=dict)
    to_move: list[SharedLink] = field(default_factory=list)
    unused: list[SharedLink] = field(default_factory=list)


def _born(root: Path, releases: Path, links: Mapping[str, SharedLink], entries: Mapping[str, Entry]) -> _Born:
    """Data that was born in a release goes before a database of the checkout: users have been served from it.

    What is configured goes before both, and a link is never made through another one.
    """
    born = _Born()
    for path, target in data_of_releases(releases).items():
        link = SharedLink(path, target, "inherited")
        parents = [str(parent) for parent in PurePosixPath(path).parents]
        shared = any(each in links and links[each].reason == "shared" for each in (path, *parents))
        through = any(p in links or (p in entries and entries[p].kind != "directory") for p in parents)
        directory = path in entries and entries[path].kind == "directory"
        if shared and not os.path.lexists(root / path):
            born.to_move.append(link)
        elif shared or through or directory:
            born.unused.append(link)
        else:
            born.linked[path] = link
    return born


@dataclass
class _Walker:
    root: Path
    state_home: Path
    exclude: Rules
    shared: set[str]
    entries: dict[str, Entry] = field(default_factory=dict)
    databases: set[str] = field(default_factory=set)
    skipped: list[str] = field(default_factory=list)

    def walk(self, directory: str, layers: tuple[Layer, ...]) -> None:
        """`directory` is "" or ends with a slash."""
        place = self.root / directory
        try:
            own = read_rules(place / ".gitignore")
            found = sorted(os.scandir(place), key=lambda item: item.name)
        except OSError as error:
            raise unreadable(directory or ".", error) from error
        layers = (*layers, Layer(own, base=directory)) if own else layers
        for item in found:
            path = directory + item.name
            is_directory = item.is_dir(follow_symlinks=False)
            if self._never(path) or path in self.shared:
                continue
            excluded = self.exclude.verdict(path, is_directory)
            if excluded is None and ignored(path, is_directory, layers):
                self._look_for_databases(path, is_directory)
            elif not excluded:
                self._take(path)
                if is_directory:
                    self.walk(path + "/", layers)

    def add_tracked(self, paths: frozenset[str]) -> None:
        for path in sorted(paths - self.entries.keys() - self.shared - self.databases):
            parents = [str(parent) for parent in reversed(PurePosixPath(path).parents[:-1])]
            steps = [*parents, path]
            left_out = any(self._never(step) or step in self.shared for step in steps)
            left_out |= any((self.root / parent).is_symlink() for parent in parents)
            excluded = any(self.exclude.verdict(step, step != path) for step in steps)
            if not left_out and not excluded and os.path.lexists(self.root / path):
                for step in steps:
                    if step not in self.entries:
                        self._take(step)

    def _never(self, path: str) -> bool:
        place = self.root / path
        return always_left_out(place) or place.suffix == ".pyc" or place == self.state_home

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


def _shared_paths(root: Path, shared: Sequence[str]) -> set[str]:
    """Normalised, without those that lie in another one or outside the checkout by a symlink."""
    found = set()
    for text in shared:
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ConfigInvalid(
                f"deploy.shared: {text!r} is not a path inside the checkout",
                why="shared paths are linked from each release to the same place in the checkout",
                fix="name it relative to the directory of oatie.toml, without `..`",
            )
        place = (root / path).parent.resolve() / path.name
        if place.is_relative_to(root):
            found.add(place.relative_to(root))
    return {path.as_posix() for path in found if not any(parent in found for parent in path.parents)}


def unreadable(path: str, error: OSError) -> SnapshotFailed:
    return SnapshotFailed(
        f"cannot read {path} of the checkout",
        why=error.strerror or str(error),
        fix="make it readable for this user, or leave it out with a pattern in [deploy] exclude",
    )
