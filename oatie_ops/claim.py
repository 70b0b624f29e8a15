"""Whose a state directory is that OATIE_HOME names: two projects in one would act on each other's workers."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Any

from oatie_ops.errors import PrerequisiteMissing
from oatie_ops.paths import StatePaths, foreign, read_regular, user_name

CLAIM = "checkout"


def claim(paths: StatePaths, root: Path) -> None:
    """Writes down which checkout uses it. The directory has to exist; ``.oatie`` needs no such word."""
    if paths.home != root.absolute() / ".oatie":
        with contextlib.suppress(OSError):  # a full disk has its own message, where it matters
            (paths.home / CLAIM).write_text(f"{root.absolute()}\n", encoding="utf-8")


def require_ours(paths: StatePaths, root: Path) -> None:
    """Raises `PrerequisiteMissing` where another application uses it.

    Another checkout of the same application may: pipelines make a new one for each deploy.
    """
    if paths.home == root.absolute() / ".oatie":
        return
    try:
        other = Path((paths.home / CLAIM).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return
    if other == root.absolute() or not other.is_dir():
        return
    theirs, ours = _name(other), _name(root.absolute())
    if theirs != ours:
        raise PrerequisiteMissing(
            f"OATIE_HOME={paths.home} belongs to another application",
            why=f"{theirs} in {other} uses it; this is {ours}",
            fix="give each application an OATIE_HOME of its own; where both are checkouts of one, declare the"
            " same app.name in both",
        )


def require_directory(paths: StatePaths, root: Path) -> None:
    """Raises `PrerequisiteMissing` where the place cannot hold the state: a file, or the checkout itself,
    which a release would then leave out as a whole; or where it is private to another user."""
    home = paths.home
    if _is_file(home):
        raise PrerequisiteMissing(
            f"the state directory {home} is not a directory",
            why=f"{next(path for path in (home, *home.parents) if path.exists())} is a file",
            fix="move it away, or set OATIE_HOME to a directory that oatie may make and use alone",
        )
    if home.is_dir() and not os.access(home, os.R_OK | os.X_OK):
        uid = home.stat().st_uid
        why = f"it belongs to {user_name(uid)} and is private; this is {user_name(os.getuid())}"
        raise foreign(home, uid, why)
    with contextlib.suppress(OSError):
        if home.samefile(root):
            raise PrerequisiteMissing(
                f"OATIE_HOME={home} is the checkout itself",
                why="the state would lie among the application's files, and no release could be made of them",
                fix="leave OATIE_HOME unset (`.oatie` is used then), or name a directory for it alone",
            )


def _is_file(home: Path) -> bool:
    try:
        return not stat.S_ISDIR(home.stat().st_mode)
    except NotADirectoryError:
        return True
    except OSError:  # not there yet, or not to be seen: others explain that
        return False


def _name(root: Path) -> str:
    """As declared, else that of the directory; a file that cannot be read says nothing here."""
    import tomllib

    for file, table in (("oatie.toml", ()), ("pyproject.toml", ("tool", "oatie"))):
        try:
            found: Any = tomllib.loads(read_regular(root / file).decode())
        except (OSError, ValueError, RecursionError):
            continue
        for key in (*table, "app", "name"):
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, str):
            return found
    return root.name
