"""The files of a release: copied once, complete or not there at all, removed as a whole.

``releases/<N>/app`` is the code; ``manifest.json`` beside it (`oatie_ops.deployment.manifest`) is written
last, so a directory without one is an attempt that never ended.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from oatie_ops.deployment.databases import SIDECARS, born_in
from oatie_ops.deployment.survey import Entry, SharedLink, SnapshotFailed, Survey, unreadable
from oatie_ops.errors import OatieError
from oatie_ops.paths import StatePaths

APP = "app"
MANIFEST = "manifest.json"
TEMPORARY_PREFIX = ".tmp-"
TRASH_PREFIX = ".trash-"


class DiskFull(OatieError):
    """No space left, or over the quota; what was half written has been removed."""


def snapshot(survey: Survey, destination: Path) -> Path:
    """Copies what `survey` found to ``destination/app`` and returns that directory.

    Until it is complete it has another name, so `destination` is never half a release. Raises `DiskFull`
    or `SnapshotFailed`, and leaves nothing behind then.
    """
    if os.path.lexists(destination):
        raise SnapshotFailed(
            f"{destination} exists already",
            why="a release is made once and never changed",
            fix=f"move {destination} away and deploy again",
        )
    temporary = destination.with_name(f"{TEMPORARY_PREFIX}{destination.name}-{uuid.uuid4().hex[:8]}")
    try:
        with explained_disk_errors(destination.parent):
            _copy(survey, temporary / APP)
            temporary.rename(destination)
    finally:
        remove_tree(temporary)
    return destination / APP


def remove_release(paths: StatePaths, number: int) -> tuple[Path, ...]:
    """Removes the files of a release that never was good; harmless when there are none.

    Databases that were born inside it are moved to ``data/release-<N>/`` first and returned: it may have
    served users before it was undone.
    """
    directory = paths.releases / str(number)
    with explained_disk_errors(paths.releases):
        rescued = tuple(
            _rescue(directory / APP / path, paths.data / f"release-{number}" / path)
            for path in born_in(directory / APP)
        )
        remove_tree(directory)
    return rescued


def strip_release(paths: StatePaths, number: int) -> tuple[Path, ...]:
    """Removes a release but for the databases that were born inside it, and returns those.

    Later releases are linked to them and may have them open, so they stay in their place.
    """
    directory = paths.releases / str(number)
    born = tuple(directory / APP / path for path in born_in(directory / APP))
    with explained_disk_errors(paths.releases):
        if born:
            # First: what is stripped must not look as if it could be run.
            (directory / MANIFEST).unlink(missing_ok=True)
            _remove_all_but({part for database in born for part in _parts(database)}, directory)
        else:
            remove_tree(directory)
    return born


# Longer ones are no numbers of ours, and more than the database holds.
MAX_DIGITS = 9


def highest_number(releases: Path) -> int:
    """The highest release number that has a directory; 0 when there is none."""
    if not releases.is_dir():
        return 0
    names = (place.name for place in releases.iterdir())
    return max((int(name) for name in names if name.isdecimal() and len(name) <= MAX_DIGITS), default=0)


def remove_tree(path: Path) -> None:
    """Gone from its place at once (by a rename), then deleted; harmless when it is not there."""
    if not os.path.lexists(path):
        return
    trash = path
    if not path.name.startswith(TRASH_PREFIX):
        trash = path.with_name(f"{TRASH_PREFIX}{path.name}-{uuid.uuid4().hex[:8]}")
        path.rename(trash)
    try:
        shutil.rmtree(trash)
    except PermissionError:
        _open_up(trash)
        shutil.rmtree(trash)


def _open_up(tree: Path) -> None:
    """Package managers leave directories without write permission, and builds some without any."""
    tree.chmod(0o700)
    for place, directories, _ in os.walk(tree):
        for name in directories:  # before they are entered
            if not (path := Path(place, name)).is_symlink():
                path.chmod(0o700)


@contextmanager
def explained_disk_errors(place: Path) -> Iterator[None]:
    """Turns an `OSError` while writing under `place` into `DiskFull` or `SnapshotFailed`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"no space left under {place}",
                why=f"{error.strerror}; {shutil.disk_usage(place).free // 1024} kB are free",
                fix="free some space, lower [deploy] keep, or exclude large files with [deploy] exclude",
            ) from error
        raise SnapshotFailed(
            f"cannot write or remove files under {place}",
            why=str(error),
            fix="look at the path named above: its permissions, or what changed it meanwhile; then try again",
        ) from error


def _copy(survey: Survey, app: Path) -> None:
    app.mkdir(parents=True)
    directories = [entry for entry in survey.entries if entry.kind == "directory"]
    for entry in survey.entries:
        _copy_entry(survey.root, entry, app)
    for link in survey.links:
        _link(link, app / link.path)
    # Last, since a directory without write permission could not be filled. The owner may always write:
    # build commands put their results there.
    for entry in directories:
        (app / entry.path).chmod(entry.mode | 0o700)
    app.chmod(survey.root.stat().st_mode & 0o777 | 0o700)


def _copy_entry(root: Path, entry: Entry, app: Path) -> None:
    place = app / entry.path
    if entry.kind == "directory":
        place.mkdir(parents=True, exist_ok=True)
    elif entry.kind == "symlink":
        place.symlink_to(entry.target)
    else:
        source = root / entry.path
        try:
            info = source.stat()
            shutil.copyfile(source, place)
        except PermissionError as error:
            raise unreadable(entry.path, error) from error
        except (FileNotFoundError, shutil.SpecialFileError) as error:
            raise SnapshotFailed(
                f"{entry.path} vanished or changed while the checkout was being copied",
                why=str(error),
                fix="deploy again when nothing changes the checkout; exclude temporary files with"
                " [deploy] exclude",
            ) from error
        place.chmod(entry.mode)
        os.utime(place, ns=(info.st_atime_ns, info.st_mtime_ns))


def _link(link: SharedLink, place: Path) -> None:
    if link.reason == "shared" and not os.path.lexists(link.target):
        # A program that makes sure of its directory fails on a dangling link; for a file the link may
        # dangle, and what the program writes goes to the shared place.
        directory = link.target if not link.target.suffix else link.target.parent
        directory.mkdir(parents=True, exist_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(link.target)


def _remove_all_but(kept: Collection[Path], directory: Path) -> None:
    directory.chmod(0o700)
    for place in list(directory.iterdir()):
        if place in kept:
            continue
        if place.is_symlink() or not place.is_dir():
            place.unlink()
        elif any(place in each.parents for each in kept):
            _remove_all_but(kept, place)
        else:
            remove_tree(place)


def _parts(database: Path) -> list[Path]:
    """A database and what SQLite keeps beside it."""
    return [database.with_name(database.name + suffix) for suffix in ("", *SIDECARS)]


def _rescue(database: Path, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    while os.path.lexists(place):
        place = place.with_name(f"{place.name}.{uuid.uuid4().hex[:8]}")
    for part, target in zip(_parts(database), _parts(place), strict=True):
        if part.exists():
            part.rename(target)
    return place
