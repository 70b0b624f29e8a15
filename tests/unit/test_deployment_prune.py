"""What may go and what must stay."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment import manifest
from oatie_ops.deployment.build_plan import BUILT
from oatie_ops.deployment.manifest import Manifest
from oatie_ops.deployment.prune import prune, remove_leftovers, to_remove
from oatie_ops.paths import StatePaths
from oatie_ops.store import Release, ReleaseStatus, Store

KEYS = [f"{number:020x}" for number in range(10)]


def release(number: int, status: ReleaseStatus = "good", good_at: float | None = None) -> Release:
    proven = good_at if good_at is not None else (float(number) if status == "good" else None)
    return Release(number, status, float(number), "ana", {}, proven, "")


def test_the_newest_good_ones_are_kept() -> None:
    assert to_remove([release(n) for n in range(1, 8)], keep=5, protected=()) == [1, 2]


def test_failed_and_unfinished_attempts_go_and_do_not_count() -> None:
    known = [release(1), release(2, "bad"), release(3, "building"), release(4, "built"), release(5)]
    assert to_remove(known, keep=2, protected=()) == [2, 3, 4]


def test_the_serving_one_and_the_one_being_made_stay() -> None:
    known = [*(release(n) for n in range(1, 6)), release(6, "building")]
    assert to_remove(known, keep=1, protected=(2, 6)) == [1, 3, 4]


def test_the_one_that_last_survived_stays_however_old_its_number() -> None:
    known = [release(1, good_at=99.0), *(release(n) for n in range(2, 6))]
    assert 1 not in to_remove(known, keep=2, protected=())


@pytest.mark.parametrize("keep", [0, -1])
def test_one_good_release_always_stays(keep: int) -> None:
    assert to_remove([release(1), release(2)], keep=keep, protected=()) == [1]


STATUSES: list[ReleaseStatus] = ["building", "built", "good", "bad", "pruned"]


@given(
    statuses=st.lists(st.sampled_from(STATUSES), max_size=12),
    keep=st.integers(0, 6),
    protected=st.sets(st.integers(1, 12)),
)
def test_never_the_last_good_one_nor_a_protected_one(
    statuses: list[ReleaseStatus], keep: int, protected: set[int]
) -> None:
    known = [release(number, status) for number, status in enumerate(statuses, 1)]
    removed = set(to_remove(known, keep=keep, protected=protected))
    good = [each.number for each in known if each.status == "good"]
    assert not removed & protected
    assert not set(good[-max(keep, 1) :]) & removed
    assert len(set(good) - removed - protected) <= max(keep, 1)


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    made = StatePaths(tmp_path / ".oatie")
    made.ensure()
    return made


@pytest.fixture
def store(paths: StatePaths) -> Iterator[Store]:
    with Store.open(paths.database) as opened:
        yield opened


def made(store: Store, paths: StatePaths, status: ReleaseStatus = "good", build: str | None = None) -> int:
    number = store.releases.create(actor="ana", source={}).number
    directory = paths.releases / str(number)
    (directory / "app").mkdir(parents=True)
    manifest.write(directory, Manifest(number, 0.0, AppSettings(), directory / "app", None, build, {}))
    store.releases.mark(number, status)
    return number


def built(paths: StatePaths, key: str, complete: bool = True) -> None:
    (paths.builds / key / "venv").mkdir(parents=True)
    if complete:
        (paths.builds / key / BUILT).write_text("{}")


def names(directory: Path) -> set[str]:
    return {place.name for place in directory.iterdir()}


def test_files_go_records_stay(store: Store, paths: StatePaths) -> None:
    for status in ("good", "bad", "good", "good"):
        made(store, paths, status)  # type: ignore[arg-type]
    store.releases.set_serving(4)
    report = prune(store, paths, keep=2, protected=set())
    assert report.releases == (1, 2)
    assert names(paths.releases) == {"3", "4"}
    assert [each.status for each in store.releases.list()] == ["good", "good", "bad", "pruned"]
    assert prune(store, paths, keep=2, protected=set()).releases == ()


def test_the_serving_release_stays_whatever_its_status(store: Store, paths: StatePaths) -> None:
    made(store, paths, "bad")
    made(store, paths)
    store.releases.set_serving(1)
    prune(store, paths, keep=1, protected=set())
    assert names(paths.releases) == {"1", "2"}


def test_a_prune_that_was_killed_after_its_record_is_finished_by_the_next(
    store: Store, paths: StatePaths
) -> None:
    for _ in range(2):
        made(store, paths)
    store.releases.mark(1, "pruned")
    assert prune(store, paths, keep=5, protected=set()).releases == (1,)
    assert names(paths.releases) == {"2"}


def test_builds_go_with_the_last_release_that_uses_them(store: Store, paths: StatePaths) -> None:
    for key in KEYS[:3]:
        built(paths, key)
    built(paths, f"{KEYS[0]}-r9")
    (paths.builds / "notes").mkdir()
    made(store, paths, build=KEYS[0])
    made(store, paths, build=KEYS[1])
    made(store, paths, build=KEYS[1])
    report = prune(store, paths, keep=1, protected=set())
    assert set(report.builds) == {KEYS[0], KEYS[2], f"{KEYS[0]}-r9"}
    assert names(paths.builds) == {KEYS[1], "notes"}


def test_no_build_goes_while_a_release_cannot_say_which_one_it_needs(store: Store, paths: StatePaths) -> None:
    built(paths, KEYS[0])
    number = made(store, paths, build=KEYS[0])
    (paths.releases / str(number) / "manifest.json").write_text("damaged")
    assert prune(store, paths, keep=1, protected=set()).builds == ()
    assert names(paths.builds) == {KEYS[0]}


def test_leftovers_of_killed_runs_go(store: Store, paths: StatePaths) -> None:
    made(store, paths)
    for name in (".tmp-2-abc", ".trash-1-abc"):
        (paths.releases / name / "app").mkdir(parents=True)
    built(paths, KEYS[0], complete=False)
    (paths.builds / f".trash-{KEYS[1]}-abc").mkdir()
    found = remove_leftovers(paths)
    assert {place.name for place in found} == {
        ".tmp-2-abc",
        ".trash-1-abc",
        KEYS[0],
        f".trash-{KEYS[1]}-abc",
    }
    assert (names(paths.releases), names(paths.builds)) == ({"1"}, set())
    assert remove_leftovers(paths) == ()


def test_directories_that_no_record_knows_are_left_alone(store: Store, paths: StatePaths) -> None:
    """A lost database must not cost the release that is still being served."""
    (paths.releases / "41" / "app").mkdir(parents=True)
    made(store, paths)
    prune(store, paths, keep=1, protected=set())
    assert names(paths.releases) == {"1", "41"}


def born(app: Path) -> Path:
    connection = sqlite3.connect(app / "app.db")
    connection.execute("CREATE TABLE reports (title TEXT)")
    connection.close()
    return app / "app.db"


def test_data_born_in_a_pruned_release_stays_and_is_told_once(store: Store, paths: StatePaths) -> None:
    for _ in range(2):
        made(store, paths, build=KEYS[0])
    built(paths, KEYS[0])
    built(paths, KEYS[1])
    database = born(paths.releases / "1" / "app")
    report = prune(store, paths, keep=1, protected=set())
    assert (report.releases, report.rescued, report.builds) == ((1,), (database,), (KEYS[1],))
    assert database.is_file() and names(paths.releases / "1") == {"app"}
    again = prune(store, paths, keep=1, protected=set())
    assert (again.releases, again.rescued) == ((), ())
    assert database.is_file()


def test_data_born_in_a_failed_release_is_moved_to_safety(store: Store, paths: StatePaths) -> None:
    made(store, paths, "bad")
    born(paths.releases / "1" / "app")
    report = prune(store, paths, keep=1, protected=set())
    assert report.rescued == (paths.data / "release-1" / "app.db",)
    assert report.rescued[0].is_file() and names(paths.releases) == set()


def test_a_state_directory_that_was_never_made_has_no_leftovers(tmp_path: Path) -> None:
    assert remove_leftovers(StatePaths(tmp_path / "nowhere")) == ()
