"""SQLite files: data that must be one for all releases, wherever an application keeps it.

A database in the checkout is linked into each release, never copied. One that an application made inside
its release is found here too, so that it is neither forgotten by the next release nor lost in a prune.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

# The first bytes of every database (sqlite.org/fileformat.html, "The Database Header"); its size is always
# a whole number of pages, and no page is smaller than 512 bytes, so few other files have to be opened.
MAGIC = b"SQLite format 3\0"
_MIN_PAGE_BYTES = 512
SUFFIXES = frozenset({".db", ".db3", ".s3db", ".sl3", ".sqlite", ".sqlite3"})
# What SQLite keeps beside a database (sqlite.org/tempfiles.html); it follows links to the real place.
SIDECARS = ("-wal", "-shm", "-journal")
_ALWAYS_LEFT_OUT = frozenset({".git", ".oatie", ".venv", "venv", "node_modules", "__pycache__"})


def always_left_out(path: Path) -> bool:
    """Never part of a release, nor data of the application; a virtual environment by any name."""
    return path.name in _ALWAYS_LEFT_OUT or (path / "pyvenv.cfg").is_file()


def is_database(path: Path, size_bytes: int) -> bool:
    """An empty file with a usual suffix counts: SQLite makes a database of it at the first write."""
    if size_bytes == 0:
        return path.suffix in SUFFIXES
    if size_bytes % _MIN_PAGE_BYTES:
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:  # unreadable or gone: whoever copies the file says so
        return False


def is_database_file(path: Path) -> bool:
    """A database as such: no link to one, and not hidden, as the caches of tools are (``.coverage``)."""
    if path.name.startswith("."):
        return False
    try:
        info = path.lstat()
    except FileNotFoundError:  # gone meanwhile
        return False
    return stat.S_ISREG(info.st_mode) and is_database(path, info.st_size)


def databases_under(directory: Path) -> Iterator[str]:
    """Real database files (no links), as paths relative to `directory`; hidden ones are caches."""
    for place, names, files in os.walk(directory):
        names[:] = sorted(n for n in names if not n.startswith(".") and not always_left_out(Path(place, n)))
        for name in sorted(files):
            path = Path(place, name)
            if is_database_file(path):
                yield path.relative_to(directory).as_posix()


def stray_databases(app_directory: Path) -> tuple[str, ...]:
    """Databases that were born inside a release: the next release would not see them."""
    return tuple(databases_under(app_directory))
