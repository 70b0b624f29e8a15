"""Releases, journal, events and audit as the other rooms use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from oatie_ops.identity import ProcessIdentity
from oatie_ops.store import Store, UnknownRelease
from oatie_ops.store.events import Events


class Clock:
    """Every look at it is one second later than the one before."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        self.time += 1
        return self.time


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "state.db", clock=Clock()) as opened:
        yield opened


def create(store: Store, count: int = 1) -> list[int]:
    return [store.releases.create(actor="ana", source={"commit": "abc"}).number for _ in range(count)]


def test_numbers_go_up_from_one_and_the_newest_is_listed_first(store: Store) -> None:
    assert create(store, 3) == [1, 2, 3]
    assert [release.number for release in store.releases.list()] == [3, 2, 1]


def test_a_new_release_is_building_and_remembers_its_source(store: Store) -> None:
    release = store.releases.create(actor="ana", source={"commit": "abc", "dirty": True})
    assert (release.status, release.actor, release.good_at) == ("building", "ana", None)
    assert release.source == {"commit": "abc", "dirty": True}
    assert store.releases.get(release.number) == release


def test_a_number_that_exists_on_the_disk_is_not_given_out_again(store: Store) -> None:
    assert store.releases.create(actor="ana", source={}, after=41).number == 42
    assert store.releases.create(actor="ana", source={}, after=41).number == 43


def test_an_unknown_release_is_none_to_get_and_an_error_to_mark_or_serve(store: Store) -> None:
    create(store)
    assert store.releases.get(9) is None
    with pytest.raises(UnknownRelease, match="no release 9") as caught:
        store.releases.mark(9, "good")
    assert caught.value.details == ("release 1: building",)
    with pytest.raises(UnknownRelease):
        store.releases.set_serving(9)


def test_an_unheard_of_status_is_refused(store: Store) -> None:
    create(store)
    with pytest.raises(ValueError, match="splendid"):
        store.releases.mark(1, "splendid")  # type: ignore[arg-type]


def test_a_note_stays_until_another_replaces_it(store: Store) -> None:
    create(store)
    store.releases.mark(1, "bad", "crashed at the gate")
    assert store.releases.mark(1, "pruned").note == "crashed at the gate"
    assert store.releases.mark(1, "pruned", "gone").note == "gone"


def test_last_good_is_the_one_that_most_recently_survived_a_bake(store: Store) -> None:
    create(store, 4)
    assert store.releases.last_good() is None
    for number in (1, 2, 3):
        store.releases.mark(number, "good")
    store.releases.mark(4, "bad")
    assert store.releases.last_good().number == 3  # type: ignore[union-attr]
    assert store.releases.last_good(exclude=3).number == 2  # type: ignore[union-attr]
    store.releases.mark(1, "good")  # rolled back to it, and it survived again
    assert store.releases.last_good().number == 1  # type: ignore[union-attr]


def test_a_pruned_release_is_never_the_last_good_one(store: Store) -> None:
    create(store, 2)
    store.releases.mark(1, "good")
    store.releases.mark(2, "good")
    pruned = store.releases.mark(2, "pruned")
    assert pruned.good_at is not None
    assert store.releases.last_good().number == 1  # type: ignore[union-attr]


def test_serving_is_none_then_a_number_then_none_again(store: Store) -> None:
    create(store, 2)
    assert store.releases.serving() is None
    store.releases.set_serving(1)
    store.releases.set_serving(2)
    assert store.releases.serving() == 2
    store.releases.set_serving(None)
    assert store.releases.serving() is None


def test_a_run_remembers_its_owner_its_steps_and_how_far_it_got(store: Store) -> None:
    run_id = store.journal.begin("deploy", actor="ana", release=7, previous=6, steps=["snapshot", "gate"])
    store.journal.step(run_id, 0, "started")
    store.journal.step(run_id, 0, "done")
    (run,) = store.journal.unfinished()
    assert (run.id, run.kind, run.actor, run.release, run.previous) == (run_id, "deploy", "ana", 7, 6)
    assert run.owner == ProcessIdentity.current()
    assert [(step.name, step.state) for step in run.steps] == [("snapshot", "done"), ("gate", None)]
    started_at, done_at = run.steps[0].started_at, run.steps[0].at
    assert started_at is not None and done_at is not None and started_at < done_at
    assert (run.finished_at, run.outcome) == (None, None)


def test_an_undone_step_still_knows_when_it_was_started(store: Store) -> None:
    run_id = store.journal.begin("deploy", actor="ana", release=None, previous=None, steps=["snapshot"])
    for state in ("started", "failed", "undone"):
        store.journal.step(run_id, 0, state)
    (step,) = store.journal.recent()[0].steps
    assert step.state == "undone"
    assert step.started_at is not None


def test_a_finished_run_is_no_longer_unfinished_and_its_first_outcome_stands(store: Store) -> None:
    first = store.journal.begin("deploy", actor="ana", release=1, previous=None, steps=[])
    second = store.journal.begin("deploy", actor="bo", release=2, previous=1, steps=[])
    store.journal.finish(first, "deployed", "in 3 s")
    store.journal.finish(first, "failed", "too late")
    assert [run.id for run in store.journal.unfinished()] == [second]
    newest, oldest = store.journal.recent()
    assert (newest.id, oldest.id) == (second, first)
    assert (oldest.outcome, oldest.detail) == ("deployed", "in 3 s")
    assert oldest.finished_at is not None


def test_an_unheard_of_step_state_is_refused(store: Store) -> None:
    run_id = store.journal.begin("deploy", actor="ana", release=1, previous=None, steps=["snapshot"])
    with pytest.raises(ValueError, match="maybe"):
        store.journal.step(run_id, 0, "maybe")  # type: ignore[arg-type]


def test_events_come_newest_first_limited_and_since(store: Store) -> None:
    for name in ("a", "b", "c"):
        store.events.add("worker", name, f"{name} restarted", {"pid": 1})
    newest = store.events.recent(2)
    assert [event.subject for event in newest] == ["c", "b"]
    assert newest[0].data == {"pid": 1}
    assert [event.subject for event in store.events.recent(since=newest[1].at)] == ["c", "b"]


def test_only_the_newest_events_are_kept(store: Store) -> None:
    events = Events(store._database, keep=3)
    for number in range(5):
        events.add("worker", "app", str(number))
    assert [event.message for event in events.recent()] == ["4", "3", "2"]


def test_audit_tells_who_did_what_when_from_where_with_what_result(store: Store) -> None:
    store.audit.add("ana", "cli", "deploy", "release 7", "deployed", "in 3 s")
    store.audit.add("bo", "127.0.0.1", "degrade", "reports", "refused")
    newest, oldest = store.audit.recent()
    assert (newest.actor, newest.detail) == ("bo", "")
    assert (oldest.actor, oldest.origin, oldest.action) == ("ana", "cli", "deploy")
    assert (oldest.subject, oldest.result, oldest.detail) == ("release 7", "deployed", "in 3 s")
    assert oldest.at < newest.at
