"""What goes into a release, how it is copied, and how it is removed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment import manifest
from oatie_ops.deployment.databases import born_in, record_generated
from oatie_ops.deployment.manifest import Manifest, ReleaseUnusable
from oatie_ops.deployment.releases import (
    DiskFull,
    highest_number,
    remove_release,
    remove_tree,
    snapshot,
    strip_release,
)
from oatie_ops.deployment.source import source_facts
from oatie_ops.deployment.survey import SnapshotFailed, Survey, survey
from oatie_ops.errors import ConfigInvalid
from oatie_ops.exit_codes import ExitCode
from oatie_ops.paths import StatePaths


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "checkout"
    path.mkdir()
    return path.resolve()


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


# -- what is taken -----------------------------------------------------------------------------------------


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


def insert(path: Path, title: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO reports VALUES (?)", (title,))
    connection.commit()
    connection.close()


def titles(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    found = [row[0] for row in connection.execute("SELECT title FROM reports")]
    connection.close()
    return found


def test_later_releases_go_on_with_the_data_that_was_born_in_an_earlier_one(root: Path) -> None:
    """Nothing is configured, and the application makes its database when it first runs."""
    put(root, "main.py")
    first = make(root, 1)
    insert(database(first, "instance/app.db", wal=True), "from release 1")
    second = make(root, 2)
    insert(second / "instance" / "app.db", "from release 2")
    third = make(root, 3)
    assert titles(third / "instance" / "app.db") == ["from release 1", "from release 2"]
    assert titles(first / "instance" / "app.db") == ["from release 1", "from release 2"]
    assert linked(look(root)) == {"instance/app.db": "inherited"}


def test_data_that_users_have_been_served_from_goes_before_a_database_of_the_checkout(root: Path) -> None:
    put(root, "main.py")
    insert(database(make(root, 1), "app.db"), "of the users")
    insert(database(root, "app.db"), "of the developer")
    assert titles(make(root, 2) / "app.db") == ["of the users"]


def test_what_is_configured_as_shared_goes_before_all(root: Path) -> None:
    put(root, "main.py")
    database(make(root, 1), "data/app.db")
    database(make(root, 2), "other.db")
    assert linked(look(root, shared=["data", "other.db"])) == {"data": "shared", "other.db": "shared"}


@pytest.mark.parametrize("there", ["data", "data/app.db/file"])
def test_a_checkout_that_has_something_else_in_that_place_wins(root: Path, there: str) -> None:
    database(make(root, 1), "data/app.db")
    put(root, there)
    assert linked(look(root)) == {}
    make(root, 2)


def test_a_link_is_never_made_through_a_link_of_the_checkout(root: Path) -> None:
    database(make(root, 1), "data/app.db")
    (root.parent / "elsewhere").mkdir()
    (root / "data").symlink_to(root.parent / "elsewhere")
    make(root, 2, shared=["data/uploads"])
    assert list((root.parent / "elsewhere").iterdir()) == []


def test_a_database_that_a_build_made_is_data_only_once_it_is_written_to(root: Path) -> None:
    put(root, "main.py")
    first = make(root, 1)
    index, written = database(first, "index.db"), database(first, "app.db", wal=True)
    record_generated(first)
    assert born_in(first) == ()
    assert titles(index) == titles(written) == []
    writer = sqlite3.connect(written)  # still open, so that the row is in the -wal file only
    writer.execute("INSERT INTO reports VALUES ('precious')")
    writer.commit()
    assert born_in(first) == ("app.db",)
    assert linked(look(root)) == {"app.db": "inherited"}
    writer.close()


# -- copying -----------------------------------------------------------------------------------------------


def test_modes_times_and_empty_directories_survive(root: Path) -> None:
    script = put(root, "run.sh")
    script.chmod(0o755)
    os.utime(script, ns=(1, 1_600_000_000_123_456_789))
    put(root, "locked/file").parent.chmod(0o755)
    (root / "empty").mkdir(mode=0o750)
    app = make(root)
    assert stat.S_IMODE((app / "run.sh").stat().st_mode) == 0o755
    assert (app / "run.sh").stat().st_mtime_ns == script.stat().st_mtime_ns
    assert stat.S_IMODE((app / "empty").stat().st_mode) == 0o750


def test_a_directory_without_write_permission_can_be_copied_and_built_in(root: Path) -> None:
    put(root, "vendor/lib.py")
    (root / "vendor").chmod(0o555)
    app = make(root)
    assert (app / "vendor" / "lib.py").exists()
    assert stat.S_IMODE((app / "vendor").stat().st_mode) == 0o755
    (root / "vendor").chmod(0o755)


def test_links_stay_links_and_still_lead_to_the_same_place(root: Path) -> None:
    put(root, "a/real.txt", "inside")
    outside = put(root.parent, "outside.txt", "outside")
    (root / "a" / "near").symlink_to("real.txt")
    (root / "b").symlink_to("a")
    (root / "a" / "far").symlink_to("../../outside.txt")
    (root / "absolute").symlink_to(outside)
    (root / "dangling").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    app = make(root)
    assert (app / "a" / "near").readlink() == Path("real.txt")
    assert (app / "b" / "near").resolve() == app / "a" / "real.txt"
    assert (app / "a" / "far").read_text() == (app / "absolute").read_text() == "outside"
    assert (app / "dangling").readlink() == Path("nowhere")
    assert (app / "loop").is_symlink()


def test_a_name_that_is_no_utf8_is_copied(root: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    try:
        put(root, name, "latin")
    except OSError:
        pytest.skip("only on file systems that take any bytes as a name")
    assert (make(root) / name).read_text() == "latin"


def test_an_existing_release_is_never_overwritten(root: Path) -> None:
    put(root, "main.py")
    app = make(root)
    (app / "main.py").write_text("running")
    with pytest.raises(SnapshotFailed, match="exists already"):
        make(root)
    assert (app / "main.py").read_text() == "running"


def test_a_file_that_vanishes_meanwhile_is_named_and_nothing_is_left(root: Path) -> None:
    put(root, "main.py")
    put(root, "temporary.txt")
    found = look(root)
    (root / "temporary.txt").unlink()
    releases = root / ".oatie" / "releases"
    releases.mkdir(parents=True)
    with pytest.raises(SnapshotFailed) as caught:
        snapshot(found, releases / "1")
    assert "temporary.txt" in caught.value.what and caught.value.fix
    assert list(releases.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_nothing_is_left(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The real thing, a small file system, is in tests/real/test_deployment_files.py."""
    put(root, "a.txt")
    put(root, "b.txt")

    def full(source: Path, place: Path) -> None:
        place.write_text("half")
        raise OSError(number, os.strerror(number), str(place))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(DiskFull) as caught:
        make(root)
    assert caught.value.why and caught.value.fix
    assert list((root / ".oatie" / "releases").iterdir()) == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_copy_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    put(root, "a.txt")

    def interrupted(source: Path, place: Path) -> None:
        raise interruption

    monkeypatch.setattr(shutil, "copyfile", interrupted)
    with pytest.raises(interruption):
        make(root)
    assert list((root / ".oatie" / "releases").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="only on a machine where the tests are not run by root")
def test_an_unreadable_file_is_named(root: Path) -> None:
    put(root, "secret.txt").chmod(0)
    with pytest.raises(SnapshotFailed, match=r"secret\.txt"):
        make(root)


# -- removing ----------------------------------------------------------------------------------------------


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    made = StatePaths(tmp_path / "checkout" / ".oatie")
    made.ensure()
    return made


def test_removing_a_release_twice_is_harmless(root: Path, paths: StatePaths) -> None:
    put(root, "main.py")
    make(root)
    assert remove_release(paths, 1) == ()
    assert remove_release(paths, 1) == ()
    assert list(paths.releases.iterdir()) == []


def test_a_database_born_in_a_failed_release_survives_its_removal(root: Path, paths: StatePaths) -> None:
    put(root, "main.py")
    app = make(root)
    born = database(app, "var/new.db", wal=True)
    writer = sqlite3.connect(born)  # still open, so that its rows are in the -wal file only
    writer.execute("INSERT INTO reports VALUES ('precious')")
    writer.commit()
    (rescued,) = remove_release(paths, 1)
    assert rescued == paths.data / "release-1" / "var" / "new.db"
    assert sqlite3.connect(rescued).execute("SELECT title FROM reports").fetchall() == [("precious",)]
    writer.close()
    assert list(paths.releases.iterdir()) == []


def test_a_pruned_release_leaves_its_data_where_later_ones_have_it_open(
    root: Path, paths: StatePaths
) -> None:
    put(root, "main.py")
    put(root, "pkg/module.py")
    (root / "link").symlink_to("pkg")
    first = make(root, 1)
    manifest.write(paths.releases / "1", example(paths.releases / "1"))
    born = database(first, "var/new.db", wal=True)
    database(first, "var/index.db")
    writer = sqlite3.connect(make(root, 2) / "var" / "new.db")
    (kept,) = [path for path in strip_release(paths, 1) if path.name == "new.db"]
    writer.execute("INSERT INTO reports VALUES ('after the prune')")
    writer.commit()
    assert kept == born
    assert {p.name for p in (paths.releases / "1").iterdir()} == {"app"}
    assert {p.name for p in first.iterdir()} == {"var"}
    assert titles(make(root, 3) / "var" / "new.db") == ["after the prune"]
    writer.close()


def test_a_release_without_data_of_its_own_is_removed_altogether(root: Path, paths: StatePaths) -> None:
    database(root, "app.db")
    database(make(root), "index.db")
    record_generated(paths.releases / "1" / "app")
    assert strip_release(paths, 1) == ()
    assert list(paths.releases.iterdir()) == []


def test_linked_data_is_untouched_when_a_release_goes(root: Path, paths: StatePaths) -> None:
    original = database(root, "app.db")
    put(root, "uploads/photo.jpg")
    make(root, shared=["uploads"])
    remove_release(paths, 1)
    assert original.exists() and (root / "uploads" / "photo.jpg").exists()


def test_directories_without_write_permission_can_be_removed(tmp_path: Path) -> None:
    put(tmp_path, "tree/cache/module.go").parent.chmod(0o555)
    remove_tree(tmp_path / "tree")
    assert list(tmp_path.iterdir()) == []


def test_the_highest_number_is_that_of_a_directory(root: Path, paths: StatePaths) -> None:
    assert highest_number(paths.home / "nowhere") == 0
    for name in ("2", "10", ".tmp-11-abc", "notes"):
        (paths.releases / name).mkdir()
    assert highest_number(paths.releases) == 10
    (paths.releases / ("9" * 20)).mkdir()  # more than the database holds
    assert highest_number(paths.releases) == 10


# -- manifest ----------------------------------------------------------------------------------------------


def example(directory: Path) -> Manifest:
    app = AppSettings(name="reports", command=("node", "server.js"), env={"A": "b"}, port=9000)
    return Manifest(7, 1000.5, app, directory / "app", "/x/python", "abc", {"commit": "f00", "dirty": False})


def test_a_manifest_survives_being_written_and_is_private(tmp_path: Path) -> None:
    written = example(tmp_path)
    manifest.write(tmp_path, written)
    assert json.dumps(manifest.read(tmp_path).to_dict()) == json.dumps(written.to_dict())
    assert [(p.name, stat.S_IMODE(p.stat().st_mode)) for p in tmp_path.iterdir()] == [
        ("manifest.json", 0o600)
    ]


def test_a_secret_of_the_environment_is_not_written_and_has_its_value_of_the_day(tmp_path: Path) -> None:
    app = AppSettings(
        env={"DSN": "db://u:hunter2@h", "PLAIN": "${kept}"}, env_templates={"DSN": "db://u:${PW}@h"}
    )
    manifest.write(tmp_path, replace(example(tmp_path), app=app))
    assert "hunter2" not in (tmp_path / "manifest.json").read_text()
    read = manifest.read(tmp_path, {"PW": "rotated"}.get)
    assert read.app.env == {"DSN": "db://u:rotated@h", "PLAIN": "${kept}"}
    assert manifest.read(tmp_path, {}.get).app.env["DSN"] == "db://u:${PW}@h"


def test_the_spec_of_a_manifest_names_the_release_and_runs_its_own_settings(tmp_path: Path) -> None:
    spec = example(tmp_path).spec()
    assert (spec.name, spec.directory, spec.python) == ("7", tmp_path / "app", "/x/python")
    assert spec.app.command == ("node", "server.js")


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"number": "x"}'])
def test_a_missing_or_damaged_manifest_makes_the_release_unusable(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        put(tmp_path, "manifest.json", content)
    with pytest.raises(ReleaseUnusable) as caught:
        manifest.read(tmp_path)
    assert caught.value.why and caught.value.fix
    assert caught.value.exit_code is ExitCode.FAILED


# -- git ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_source_is_the_commit_the_branch_and_whether_it_is_clean(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q", "-b", "trunk")
    assert source_facts(root) == {"commit": None, "branch": "trunk", "dirty": False}
    put(root, "main.py")
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    assert source_facts(root) == {"commit": commit, "branch": "trunk", "dirty": False}
    put(root, "new file.py")
    assert source_facts(root) == {"commit": commit, "branch": "trunk", "dirty": True}
    with monkeypatch.context() as in_a_hook:
        in_a_hook.setenv("GIT_DIR", str(root.parent / "elsewhere.git"))
        assert source_facts(root) == {"commit": commit, "branch": "trunk", "dirty": True}
    git("add", ".")
    git("commit", "-qm", "second")
    git("checkout", "-q", "--detach")
    assert source_facts(root) == {"commit": git("rev-parse", "HEAD"), "branch": None, "dirty": False}


def test_without_git_or_a_repository_the_source_is_not_known(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(root.parent))
    assert source_facts(root) == {}
    monkeypatch.setenv("PATH", "")
    assert source_facts(root) == {}
