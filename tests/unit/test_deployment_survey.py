"""What of a checkout goes into a release, and what is linked."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from oatie_ops.deployment.databases import born_in
from oatie_ops.deployment.survey import survey
from oatie_ops.errors import ConfigInvalid
from tests.unit.checkout_world import database, files, linked, look, make, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "checkout"
    path.mkdir()
    return path.resolve()


def test_files_are_taken_and_the_usual_ballast_is_not(root: Path) -> None:
    for path in (
        ".git/config",
        ".oatie/state.db",
        ".venv/bin/python",
        "venv/x",
        "a/node_modules/m.js",
        "a/__pycache__/m.pyc",
        "old.pyc",
        "main.py",
        "a/m.py",
        ".env.example",
    ):
        put(root, path)
    assert files(look(root)) == {"main.py", "a/m.py", ".env.example"}


def test_a_virtual_environment_is_left_out_under_any_name(root: Path) -> None:
    put(root, "env311/pyvenv.cfg")
    put(root, "env311/lib/module.py")
    put(root, "main.py")
    assert files(look(root)) == {"main.py"}


def test_a_state_directory_of_another_name_is_left_out(root: Path) -> None:
    put(root, "state/releases/1/app/main.py")
    put(root, "main.py")
    assert files(survey(root, state_home=root / "state")) == {"main.py"}


def test_nested_gitignore_files_are_honoured_and_the_deeper_one_wins(root: Path) -> None:
    put(root, ".gitignore", "*.log\n/dist/\n")
    put(root, "a/.gitignore", "!keep.log\nlocal.py\n")
    for path in ("x.log", "dist/bundle.js", "a/keep.log", "a/other.log", "a/local.py", "local.py"):
        put(root, path)
    assert files(look(root)) == {".gitignore", "a/.gitignore", "a/keep.log", "local.py"}


def test_the_rules_of_the_repository_above_apply_to_a_part_of_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    put(tmp_path, ".gitignore", "*.log\n/service/secret/\n")
    for path in ("service/a.log", "service/secret/key", "service/main.py"):
        put(tmp_path, path)
    assert files(look(tmp_path / "service")) == {"main.py"}


def test_a_directory_that_its_repository_ignores_can_be_deployed_from(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    put(tmp_path, ".gitignore", "playground/\n*.py\n")
    put(tmp_path, "playground/service/main.py")
    assert files(look(tmp_path / "playground" / "service")) == {"main.py"}


def test_exclude_comes_on_top_and_may_bring_back_what_git_ignores(root: Path) -> None:
    put(root, ".gitignore", "dist/\n")
    for path in ("dist/bundle.js", "docs/guide.md", "main.py"):
        put(root, path)
    found = look(root, exclude=["docs/", "!dist/", "/.gitignore"])
    assert files(found) == {"dist/bundle.js", "main.py"}


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_what_git_tracks_is_taken_even_if_gitignore_names_it(root: Path) -> None:
    put(root, ".gitignore", "build/\n")
    put(root, "build/forced.js")
    put(root, "build/local.js")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "add", "-f", "build/forced.js"], check=True)
    found = look(root)
    assert files(found) == {".gitignore", "build/forced.js"}
    assert (make(root) / "build" / "forced.js").read_text() == "x"
    assert files(look(root, exclude=["build/"])) == {".gitignore"}


def test_it_counts_what_will_be_copied(root: Path) -> None:
    put(root, "a.txt", "12345")
    put(root, "b/c.txt", "123")
    found = look(root)
    assert (found.file_count, found.total_bytes) == (2, 8)


def test_sockets_and_pipes_are_skipped_and_named(root: Path) -> None:
    os.mkfifo(root / "pipe")
    put(root, "main.py")
    found = look(root)
    assert files(found) == {"main.py"}
    assert found.skipped == ("pipe",)
    assert not (make(root) / "pipe").exists()


# -- data --------------------------------------------------------------------------------------------------


def test_databases_are_linked_with_what_sqlite_keeps_beside_them(root: Path) -> None:
    original = database(root, "data/app.db", wal=True)
    put(root, "data/app.db-wal", "")
    put(root, "data/app.db-journal", "")
    put(root, "data/notes.db", "not a database, just a name")
    found = look(root)
    assert linked(found) == {"data/app.db": "database"}
    assert files(found) == {"data/notes.db"}
    app = make(root)
    assert (app / "data" / "app.db").readlink() == original
    connection = sqlite3.connect(app / "data" / "app.db")
    connection.execute("INSERT INTO reports VALUES ('written through the release')")
    connection.commit()
    connection.close()
    assert sqlite3.connect(original).execute("SELECT count(*) FROM reports").fetchone() == (1,)
    assert {place.name for place in (app / "data").iterdir()} == {"app.db", "notes.db"}


def test_databases_that_git_ignores_are_linked_too(root: Path) -> None:
    put(root, ".gitignore", "*.sqlite3\ninstance/\n.cache/\n")
    database(root, "db.sqlite3")
    database(root, "instance/app.db")
    database(root, ".cache/tool.db")
    put(root, "instance/config.py")
    assert linked(look(root)) == {"db.sqlite3": "database", "instance/app.db": "database"}
    assert sorted(p.name for p in (make(root) / "instance").iterdir()) == ["app.db"]


def test_an_empty_file_that_will_become_a_database_is_linked(root: Path) -> None:
    put(root, "app.db", "")
    put(root, "empty.txt", "")
    assert linked(look(root)) == {"app.db": "database"}


def test_an_excluded_database_is_neither_copied_nor_linked(root: Path) -> None:
    put(root, ".gitignore", "instance/\n")
    database(root, "fixture.db")
    database(root, "instance/other.db")
    found = look(root, exclude=["*.db"])
    assert (linked(found), files(found)) == ({}, {".gitignore"})


def test_shared_paths_are_linked_whether_ignored_missing_or_there(root: Path) -> None:
    put(root, ".gitignore", "uploads/\n")
    put(root, "uploads/photo.jpg")
    put(root, "static/site.css")
    app = make(root, shared=["uploads", "static/", "media", "data/new.db"])
    assert (app / "uploads" / "photo.jpg").exists()
    (app / "media").joinpath("new.txt").write_text("kept")
    assert (root / "media" / "new.txt").read_text() == "kept"
    database(app, "data/new.db")
    assert (root / "data" / "new.db").is_file()
    assert (app / "static").is_symlink()


def test_a_database_inside_a_shared_directory_needs_no_link_of_its_own(root: Path) -> None:
    put(root, ".gitignore", "data/\n")
    database(root, "data/app.db")
    assert linked(look(root, shared=["data", "data/app.db"])) == {"data": "shared"}


@pytest.mark.parametrize("path", ["/etc", "../elsewhere", "a/../../b", "."])
def test_a_shared_path_outside_the_checkout_is_refused(root: Path, path: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        look(root, shared=[path])
    assert path in caught.value.what and caught.value.fix


def test_a_database_born_in_a_release_is_found(root: Path) -> None:
    database(root, "old.db")
    app = make(root)
    assert born_in(app) == ()
    database(app, "var/new.db")
    assert born_in(app) == ("var/new.db",)
