"""A checkout with files and databases, what is found in it, and a release made of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment.manifest import Manifest
from oatie_ops.deployment.releases import (
    snapshot,
)
from oatie_ops.deployment.survey import Survey, survey


def put(root: Path, path: str, content: str = "x") -> Path:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    return place


def database(root: Path, path: str, wal: bool = False) -> Path:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(place) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE reports (title TEXT)")
    connection.close()
    return place


def look(root: Path, **options: Any) -> Survey:
    return survey(root, state_home=root / ".oatie", **options)


def files(found: Survey) -> set[str]:
    return {entry.path for entry in found.entries if entry.kind != "directory"}


def linked(found: Survey) -> dict[str, str]:
    return {link.path: link.reason for link in found.links}


def make(root: Path, number: int = 1, **options: Any) -> Path:
    releases = root / ".oatie" / "releases"
    releases.mkdir(parents=True, exist_ok=True)
    return snapshot(look(root, **options), releases / str(number))


def example(directory: Path) -> Manifest:
    app = AppSettings(name="reports", command=("node", "server.js"), env={"A": "b"}, port=9000)
    return Manifest(7, 1000.5, app, directory / "app", "/x/python", "abc", {"commit": "f00", "dirty": False})
