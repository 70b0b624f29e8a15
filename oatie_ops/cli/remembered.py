"""Names that completion offers, in one small file that shells read: ``complete`` in the state directory.

A line a kind: ``services app database``. Refreshed by commands that have looked around anyway; written only
where there is a state directory already, and only when something changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from oatie_ops.cli.context import Context
from oatie_ops.errors import OatieError
from oatie_ops.paths import read_regular

FILE_NAME = "complete"
PROFILES = (
    "codespaces",
    "kubernetes",
    "docker",
    "cloud",
    "production",
    "staging",
    "development",
    "local",
)
BUILT_IN_SERVICES = ("app", "system")
MAX_RELEASES = 50
PLAIN = re.compile(r"[A-Za-z0-9_.:@+-]+")  # a shell splits the line at spaces and expands nothing in these


def refresh(context: Context, workers: Iterable[str] | None = None) -> None:
    """``workers`` None: as before. Never raises for a file that cannot be read or written."""
    try:
        home = context.paths.home
        file = home / FILE_NAME
        if not home.is_dir() or home.stat().st_uid != os.geteuid():
            return  # what root looks at stays as its owner has it
        before = read(file)
        newest = max(_changed(source) for source in _sources(context))
        if _changed(file) < newest or not before:
            before = {**before, **_declared(context.root), "releases": _releases(context.paths.releases)}
        after = before if workers is None else {**before, "workers": [*workers, "supervisor"]}
        _write(file, after)
    except (OSError, OatieError):
        return  # a read-only or full disk, a directory that is gone: completion offers less


def read(file: Path) -> dict[str, list[str]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return {}
    return {kind: values for kind, *values in (line.split() for line in lines if line)}


def _sources(context: Context) -> list[Path]:
    return [context.root / "oatie.toml", context.root / "pyproject.toml", context.paths.releases]


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _declared(root: Path) -> dict[str, list[str]]:
    """From the file as it is: a file that is wrong is the business of `oatie config check`."""
    import tomllib

    document: Mapping[str, object] = {}
    for name, table in (("oatie.toml", ()), ("pyproject.toml", ("tool", "oatie"))):
        try:
            found: object = tomllib.loads(read_regular(root / name).decode())
        except (OSError, ValueError, RecursionError):
            continue
        for key in table:
            found = found.get(key, {}) if isinstance(found, Mapping) else {}
        if isinstance(found, Mapping) and found:
            document = found
            break
    return {
        "services": [*BUILT_IN_SERVICES, *_names(document.get("services"))],
        "environments": list(dict.fromkeys([*_names(document.get("environments")), *PROFILES])),
    }


def _names(table: object) -> list[str]:
    return list(table) if isinstance(table, Mapping) else []


def _releases(directory: Path) -> list[str]:
    try:
        names = [name for name in os.listdir(directory) if name.isdecimal()]  # noqa: PTH208 - names only
    except FileNotFoundError:
        return []
    return sorted(names, key=int, reverse=True)[:MAX_RELEASES]


def _write(file: Path, values: Mapping[str, Iterable[str]]) -> None:
    lines = (f"{kind} {' '.join(filter(PLAIN.fullmatch, map(str, names)))}" for kind, names in values.items())
    content = "".join(f"{line.rstrip()}\n" for line in lines)
    if file.exists() and file.read_text(encoding="utf-8", errors="replace") == content:
        os.utime(file)  # newer than what it was made of
        return
    temporary = file.with_name(f".{FILE_NAME}.{os.getpid()}")
    try:
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
