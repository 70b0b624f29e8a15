"""Data that was born in a release: brought to the checkout, or told where it is and what is used."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from oatie_ops.deployment.events import Notice
from oatie_ops.deployment.moving import bring_home, move_database
from oatie_ops.deployment.plan import plan
from oatie_ops.deployment.prerequisites import problems
from oatie_ops.exit_codes import ExitCode
from tests.unit.deployment_world import Hook, World, refuse

MIGRATE = (
    "python3 -c \"import sqlite3; c = sqlite3.connect('db.sqlite3');"
    " c.execute('CREATE TABLE IF NOT EXISTS t (x)'); c.execute('INSERT INTO t VALUES (1)'); c.commit()\""
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def rows(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    connection.close()
    return int(found)


def born(directory: Path, name: str = "db.sqlite3") -> Path:
    """As an application makes it when it first runs."""
    with sqlite3.connect(directory / name) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()
    return directory / name


def expect_rows(path: Path, number: int) -> Hook:
    def hook() -> None:
        assert rows(path) == number

    return hook


def serve(world: World, then: Hook = lambda: None) -> Hook:
    """A worker of release 1 makes its database."""

    def hook() -> None:
        born(app(world, 1))
        then()

    return hook


def app(world: World, number: int) -> Path:
    return world.paths.releases / str(number) / "app"


def notices(world: World) -> str:
    return "\n".join(event.message for event in world.events if isinstance(event, Notice))


def notes(world: World) -> str:
    return "\n".join(plan(world.facts()).notes)


def test_what_the_release_command_makes_is_in_the_checkout_before_any_worker_starts(world: World) -> None:
    world.configure(release=MIGRATE)
    home = world.root / "db.sqlite3"
    world.target.before["spawn"] = expect_rows(home, 1)
    world.deploy()
    assert (app(world, 1) / "db.sqlite3").readlink() == home
    assert str(home) in notices(world)
    world.target.before["spawn"] = expect_rows(home, 2)
    assert world.deploy().exit_code == ExitCode.OK
    assert str(home) in notes(world)


def test_a_failed_first_deploy_keeps_what_its_release_command_made_for_the_next_one(world: World) -> None:
    world.configure(release=MIGRATE)
    world.target.before["gate"] = refuse()
    world.deploy()
    assert rows(world.root / "db.sqlite3") == 1
    world.target.before.clear()
    world.deploy()
    assert rows(app(world, 2) / "db.sqlite3") == 2


def test_it_stays_in_the_release_where_the_checkout_is_no_safe_place(world: World, tmp_path: Path) -> None:
    world.deploy()
    born(app(world, 1))
    assert bring_home(app(world, 1), world.root, tmp_path / "elsewhere", ()) == ()
    assert bring_home(app(world, 1), world.root, world.paths.home, ("*.sqlite3",)) == ()
    (world.root / "db.sqlite3").write_text("no database")
    assert bring_home(app(world, 1), world.root, world.paths.home, ()) == ()
    assert rows(app(world, 1) / "db.sqlite3") == 1


def test_data_that_workers_made_is_told_with_its_place_and_how_to_move_it(world: World) -> None:
    world.target.before["bake"] = serve(world)
    world.deploy()
    place = app(world, 1) / "db.sqlite3"
    assert f"{place}; to have it in the checkout, add it to [deploy] shared" in notices(world)
    assert str(place) in notes(world)


def test_shared_moves_it_once_nothing_runs_and_every_release_follows(world: World) -> None:
    world.deploy()
    born(app(world, 1))
    world.deploy()
    world.configure(shared=("db.sqlite3",))
    assert "`oatie stop`" in problems(world.facts())[0].fix
    assert world.deploy().exit_code == ExitCode.PREREQUISITE_MISSING
    world.target.supervised = False
    home = world.root / "db.sqlite3"
    assert f"data moves from {app(world, 1) / 'db.sqlite3'} to {home}" in notes(world)
    assert world.deploy().exit_code == ExitCode.OK
    assert rows(home) == 1
    assert {(app(world, n) / "db.sqlite3").readlink() for n in (1, 2, 3)} == {home}


def test_a_database_that_the_checkout_gets_later_is_warned_about(world: World) -> None:
    world.deploy()
    born(app(world, 1))
    own = born(world.root)
    assert f"WARNING: {own} is NOT used" in notes(world)
    assert str(app(world, 1) / "db.sqlite3") in notes(world)
    world.configure(shared=("db.sqlite3",))
    assert "WARNING: db.sqlite3 of the checkout is used from now on" in notes(world)


def test_a_prune_says_that_data_of_a_release_stays(world: World) -> None:
    world.configure(keep=1)
    world.deploy()
    born(app(world, 1))
    world.deploy()
    world.deploy()
    assert f"is kept: {app(world, 1) / 'db.sqlite3'}" in notices(world)
    assert rows(app(world, 3) / "db.sqlite3") == 1


def test_the_data_of_a_release_that_failed_is_said_to_be_kept(world: World) -> None:
    world.target.before["bake"] = serve(world, then=refuse())
    world.deploy()
    kept = world.paths.data / "release-1" / "db.sqlite3"
    assert rows(kept) == 1
    assert f"the data that release 1 made is kept: {kept}" in notices(world)


def test_a_move_takes_along_what_is_only_in_the_log(tmp_path: Path) -> None:
    source, place = tmp_path / "a.db", tmp_path / "new" / "a.db"
    writer = sqlite3.connect(source)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE t (x)")
    writer.execute("INSERT INTO t VALUES (1)")
    writer.commit()
    saved = [path.read_bytes() for path in (source, tmp_path / "a.db-wal")]
    writer.close()
    for path, content in zip((source, tmp_path / "a.db-wal"), saved, strict=True):
        path.write_bytes(content)  # as a killed process leaves it
    move_database(source, place)
    assert rows(place) == rows(source) == 1
