"""How a release is copied, whose data it goes on with, and how it is removed."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from oatie_ops.deployment import manifest
from oatie_ops.deployment.databases import born_in, record_generated
from oatie_ops.deployment.releases import (
    DiskFull,
    highest_number,
    remove_release,
    remove_tree,
    snapshot,
    strip_release,
)
from oatie_ops.deployment.survey import SnapshotFailed
from oatie_ops.paths import StatePaths
from tests.unit.checkout_world import database, example, linked, look, make, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "checkout"
    path.mkdir()
    return path.resolve()


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
    (root / "empty").mkdir()
    (root / "empty").chmod(0o750)  # whatever the umask is
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
