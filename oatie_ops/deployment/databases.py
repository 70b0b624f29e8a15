"""SQLite files: data that must be one for all releases, wherever an application keeps it.

- A database in the checkout is linked into each release, never copied.
- One that the release command made is moved to the checkout before any worker starts, then linked
  (`oatie_ops.deployment.moving`).
- One that the application made when it first ran was born inside a release: it stays there, every later
  release is linked to it, and a prune leaves it where it is. Named in [deploy] shared, it is moved to the
  checkout by the next deploy while nothing runs.

So deploying again never starts with an empty database, whatever was configured.
"""

from __future__ import annotations

import json
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
GENERATED = "generated.json"
_ALWAYS_LEFT_OUT = frozenset({".git", ".oatie", ".venv", "venv", "node_modules", "__pycache__"})


def always_left_out(path: Path) -> bool:
    """Never part of a release, nor data of the application; a virtual environment by any name."""
    # Where nothing can be looked up, there is no virtual environment (`Path.is_file` would raise).
    return path.name in _ALWAYS_LEFT_OUT or os.path.isfile(path / "pyvenv.cfg")  # noqa: PTH113


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
    except (FileNotFoundError, PermissionError):  # gone meanwhile, or in a directory without x
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


def record_generated(app_directory: Path) -> None:
    """To be called when a build is over: the databases that it made (a search index, say) are no data yet."""
    generated = {path: _fingerprint(app_directory / path) for path in databases_under(app_directory)}
    if generated:
        (app_directory.parent / GENERATED).write_text(json.dumps(generated), encoding="utf-8")


def born_in(app_directory: Path) -> tuple[str, ...]:
    """Databases that the application made in its release, or of its build's and wrote into."""
    generated = _generated(app_directory.parent / GENERATED)
    return tuple(
        path
        for path in databases_under(app_directory)
        if path not in generated or generated[path] != _fingerprint(app_directory / path)
    )


def data_of_releases(releases: Path) -> dict[str, Path]:
    """Where the data is that was born in releases: path in the release -> file, the newest of that path."""
    found: dict[str, Path] = {}
    numbers = sorted(int(place.name) for place in releases.glob("[0-9]*") if place.name.isdecimal())
    for number in reversed(numbers):
        app_directory = releases / str(number) / "app"
        for path in born_in(app_directory):
            found.setdefault(path, app_directory / path)
    return found


def _fingerprint(database: Path) -> list[int]:
    """Changes when something is written; merely reading can leave an empty -wal file behind."""
    info = database.stat()
    wal = database.with_name(database.name + "-wal")
    return [info.st_size, info.st_mtime_ns, wal.stat().st_size if wal.exists() else 0]


def _generated(record: Path) -> dict[str, list[int]]:
    try:
        found = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
