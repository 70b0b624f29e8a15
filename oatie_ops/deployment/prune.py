"""Removes releases and builds that nothing can need any more, and what killed runs left on the disk.

Call it only with the deploy lock held: what is half made then belongs to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.deployment.build_plan import BUILT
from oatie_ops.deployment.manifest import ReleaseUnusable, read
from oatie_ops.deployment.releases import (
    MANIFEST,
    TEMPORARY_PREFIX,
    TRASH_PREFIX,
    explained_disk_errors,
    remove_release,
    remove_tree,
    strip_release,
)
from oatie_ops.paths import StatePaths
from oatie_ops.store import Release, ReleaseStatus, Store

_BUILD_NAME = re.compile(r"[0-9a-f]{20}(-r\d+)?")


@dataclass(frozen=True)
class PruneReport:
    """Release numbers, build keys, names of leftovers, and databases that stay of a removed release."""

    releases: tuple[int, ...]
    builds: tuple[str, ...]
    leftovers: tuple[str, ...]
    rescued: tuple[Path, ...]


def to_remove(releases: Iterable[Release], *, keep: int, protected: Collection[int]) -> list[int]:
    """Which releases go; pure.

    Kept are the `keep` newest good ones, the one that most recently survived a bake, and the `protected`.
    Failed and unfinished attempts go: they can never be run again.
    """
    known = list(releases)
    good = sorted((release for release in known if release.status == "good"), key=_newest_first)
    kept = {release.number for release in good[: max(keep, 1)]} | set(protected)
    kept |= {release.number for release in sorted(good, key=_last_proven_first)[:1]}
    return sorted(release.number for release in known if release.number not in kept)


def prune(store: Store, paths: StatePaths, *, keep: int, protected: Collection[int]) -> PruneReport:
    """Removes what `to_remove` says, the builds that no remaining release uses, and leftovers.

    `protected`: the release that serves and the one that is being made. The serving one of the store is
    protected anyway. Raises `SnapshotFailed` when a file cannot be removed; the next prune tries again.
    """
    serving = store.releases.serving()
    safe = {*protected, *([] if serving is None else [serving])}
    known = {release.number: release for release in store.releases.list()}
    removed: list[int] = []
    rescued: list[Path] = []
    for number in to_remove(known.values(), keep=keep, protected=safe):
        databases = _prune_release(store, paths, known[number])
        if databases is not None:
            removed.append(number)
            rescued += databases
    leftovers = remove_leftovers(paths)
    builds = _remove_unused_builds(paths)
    return PruneReport(
        tuple(removed),
        builds,
        tuple(str(place.relative_to(paths.home)) for place in leftovers),
        tuple(rescued),
    )


def _prune_release(store: Store, paths: StatePaths, release: Release) -> tuple[Path, ...] | None:
    """The databases that were born in it, wherever they are now; None when there was nothing to remove."""
    status: ReleaseStatus = "bad" if release.good_at is None else "pruned"
    if release.status != status:
        # Before its files go: a release that is called good must be there to return to.
        store.releases.mark(release.number, status)
    directory = paths.releases / str(release.number)
    if not directory.exists():
        return None
    complete = (directory / MANIFEST).exists()
    remove = remove_release if status == "bad" else strip_release
    databases = remove(paths, release.number)
    return databases if complete or not databases else None


def remove_leftovers(paths: StatePaths) -> tuple[Path, ...]:
    """Half copies, half removals and half-filled environments of runs that were killed."""
    found = [
        place
        for directory in (paths.releases, paths.builds)
        for place in _entries(directory)
        if place.name.startswith((TEMPORARY_PREFIX, TRASH_PREFIX))
    ]
    found += [place for place in _build_directories(paths) if not (place / BUILT).exists()]
    with explained_disk_errors(paths.home):
        for place in found:
            remove_tree(place)
    return tuple(found)


def _remove_unused_builds(paths: StatePaths) -> tuple[str, ...]:
    # One without a manifest cannot be run, so it needs no build: it was stripped.
    directories = [place for place in _entries(paths.releases) if (place / MANIFEST).exists()]
    try:
        used = {read(directory).build_key for directory in directories}
    except ReleaseUnusable:
        # Which build that release needs is not known, and it may be the one that serves.
        return ()
    unused = [place for place in _build_directories(paths) if place.name not in used]
    with explained_disk_errors(paths.builds):
        for place in unused:
            remove_tree(place)
    return tuple(place.name for place in unused)


def _build_directories(paths: StatePaths) -> Sequence[Path]:
    return [place for place in _entries(paths.builds) if _BUILD_NAME.fullmatch(place.name)]


def _entries(directory: Path) -> Sequence[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _newest_first(release: Release) -> int:
    return -release.number


def _last_proven_first(release: Release) -> tuple[float, int]:
    return -(release.good_at or 0.0), -release.number
