"""Brings data that was born inside a release to the checkout, where people look for it.

Two occasions, both without a process that could have the file open: the release command made it (Django's
``migrate`` in a fresh project) and no worker has started yet; or [deploy] shared names it and nothing runs.
SQLite must not have its file renamed while it is open (sqlite.org/howtocorrupt.html, section 4.2).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from oatie_ops.deployment.databases import SIDECARS, born_in
from oatie_ops.deployment.ignore import Rules
from oatie_ops.deployment.releases import APP, explained_disk_errors


def bring_home(app_directory: Path, root: Path, state_home: Path, exclude: Sequence[str]) -> tuple[Path, ...]:
    """Moves what was born in `app_directory` to the same path of the checkout; returns the places.

    It stays where it is if the state lives elsewhere (the checkout may be gone tomorrow), if the checkout
    has something in that place or cannot be written to, or if [deploy] exclude would hide it from the next
    release. Then later releases are linked to it, as to any data that was born in a release.
    """
    if not state_home.resolve().is_relative_to(root.resolve()):
        return ()
    rules, moved = Rules(exclude), []
    for path in born_in(app_directory):
        steps = [str(parent) for parent in PurePosixPath(path).parents[:-1]]
        hidden = rules.verdict(path, False) or any(rules.verdict(step, True) for step in steps)
        place = root / path
        if hidden or os.path.lexists(place) or not _writable(place.parent, root):
            continue
        with explained_disk_errors(root):
            move_database(app_directory / path, place)
        moved.append(place)
    return tuple(moved)


def move_database(database: Path, place: Path) -> None:
    """With what SQLite keeps beside it; a link to the new place stays. Nothing may have it open."""
    place.parent.mkdir(parents=True, exist_ok=True)
    pairs = [(_beside(database, suffix), _beside(place, suffix)) for suffix in ("", *SIDECARS)]
    present = [(old, new) for old, new in pairs if old.exists()]
    if database.stat().st_dev == place.parent.stat().st_dev:
        for old, new in present:
            old.rename(new)
    else:
        for old, new in present:
            shutil.copy2(old, new)
        for old, _ in present:
            old.unlink()
    database.symlink_to(place)


def link_all(releases: Path, path: str, old: Path, new: Path) -> None:
    """Points every release that is linked to the old place of `path` to the new one."""
    for release in releases.glob("[0-9]*"):
        link = release / APP / path
        if link.is_symlink() and link.readlink() == old:
            link.unlink()
            link.symlink_to(new)


def _writable(directory: Path, root: Path) -> bool:
    while not directory.exists() and directory != root:
        directory = directory.parent
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)


def _beside(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)
