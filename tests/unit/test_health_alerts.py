"""When somebody is told, in which words, and that nothing is lost on the way."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.config.settings import ServiceSettings, Settings
from oatie_ops.health.alerts import messages
from oatie_ops.health.alerts.outbox import REFUSED_ATTEMPTS, retry_seconds
from oatie_ops.health.alerts.pager import Pager
from oatie_ops.health.alerts.policy import GROUP_SECONDS, Channel, Open, Seen, Tell, Told, decide
from oatie_ops.health.alerts.send import NotDelivered
from oatie_ops.health.board import Board
from oatie_ops.health.model import Instant, Result, Status
from oatie_ops.health.plan import plan
from oatie_ops.store import Store

CHANNEL = Channel("ops", delay_seconds=10.0, repeat_seconds=100.0)
NOTHING: list[Open] = []


def seen(
    name: str, status: Status, for_seconds: float, *, held: bool = False, flapping: bool = False
) -> Seen:
    return Seen(name, status, "why", 1000.0 - for_seconds, for_seconds, held, flapping)


def told(tells: list[Tell]) -> list[tuple[str, str]]:
    return [(tell.told.value, tell.service) for tell in tells]


OPEN = [Open("ops", "db", 900.0, 950.0)]


def test_failure_is_told_after_its_delay_and_only_once() -> None:
    early = seen("db", Status.FAIL, 11.9)
    assert decide(CHANNEL, NOTHING, [early], 1000.0) == ([], [])
    due = seen("db", Status.FAIL, 10.0 + GROUP_SECONDS)
    opened, tells = decide(CHANNEL, NOTHING, [due], 1000.0)
    assert told(tells) == [("firing", "db")]
    assert decide(CHANNEL, opened, [due], 1001.0) == (opened, [])


def test_services_that_fail_together_are_told_together() -> None:
    services = [seen("db", Status.FAIL, 12.0), seen("web", Status.FAIL, 10.5), seen("new", Status.FAIL, 1.0)]
    _, tells = decide(CHANNEL, NOTHING, services, 1000.0)
    assert told(tells) == [("firing", "db"), ("firing", "web")]


@pytest.mark.parametrize("status", [Status.WARN, Status.UNKNOWN, Status.PASS])
def test_only_a_failure_raises_an_alert(status: Status) -> None:
    assert decide(CHANNEL, NOTHING, [seen("db", status, 999.0)], 1000.0) == ([], [])


def test_held_services_raise_none_but_are_resolved() -> None:
    assert decide(CHANNEL, NOTHING, [seen("db", Status.FAIL, 99.0, held=True)], 1000.0) == ([], [])
    assert decide(CHANNEL, OPEN, [seen("db", Status.FAIL, 99.0, held=True)], 9999.0) == (OPEN, [])
    opened, tells = decide(CHANNEL, OPEN, [seen("db", Status.PASS, 1.0, held=True)], 1000.0)
    assert (opened, told(tells)) == ([], [("resolved", "db")])


def test_reminders_come_in_their_time() -> None:
    failing = [seen("db", Status.FAIL, 99.0)]
    assert decide(CHANNEL, OPEN, failing, 1049.0) == (OPEN, [])
    opened, tells = decide(CHANNEL, OPEN, failing, 1050.0)
    assert told(tells) == [("reminder", "db")]
    assert decide(CHANNEL, opened, failing, 1051.0) == (opened, [])
    assert decide(Channel("ops"), OPEN, failing, 99_999.0) == (OPEN, [])


def test_a_clock_that_was_set_back_does_not_silence_the_reminders() -> None:
    failing = [seen("db", Status.FAIL, 99.0)]
    assert decide(CHANNEL, OPEN, failing, 940.0) == (OPEN, [])  # by a little: none comes early
    opened, tells = decide(CHANNEL, OPEN, failing, 850.0 - 86_400.0)
    assert told(tells) == [("reminder", "db")]
    assert decide(CHANNEL, opened, failing, 850.0 - 86_301.0) == (opened, [])


def test_flapping_service_is_resolved_once_it_has_settled() -> None:
    assert decide(CHANNEL, OPEN, [seen("db", Status.PASS, 1.0, flapping=True)], 1000.0) == (OPEN, [])
    assert told(decide(CHANNEL, OPEN, [seen("db", Status.PASS, 60.0)], 1000.0)[1]) == [("resolved", "db")]


def test_unknown_neither_resolves_nor_reminds() -> None:
    assert decide(CHANNEL, OPEN, [seen("db", Status.UNKNOWN, 999.0)], 9999.0) == (OPEN, [])


def test_service_that_is_gone_is_resolved() -> None:
    opened, tells = decide(CHANNEL, OPEN, [], 1000.0)
    assert (opened, told(tells), tells[0].until) == ([], [("resolved", "db")], 1000.0)


STEPS = st.lists(
    st.tuples(st.sampled_from(list(Status)), st.booleans(), st.booleans(), st.floats(0.5, 60.0)), max_size=60
)


@given(steps=STEPS)
def test_firing_and_resolved_alternate_whatever_happens(
    steps: list[tuple[Status, bool, bool, float]],
) -> None:
    """Nobody is told twice that it began, nor that it is over without having been told that it began."""
    opened: list[Open] = []
    now, since, before = 1000.0, 1000.0, Status.UNKNOWN
    words: list[Told] = []
    for status, held, flapping, seconds in steps:
        now += seconds
        since = since if status is before else now
        before = status
        service = Seen("db", status, "", since, now - since, held, flapping)
        opened, tells = decide(CHANNEL, opened, [service], now)
        words += [tell.told for tell in tells]
    edges = [word for word in words if word is not Told.REMINDER]
    assert edges == list(itertools.islice(itertools.cycle([Told.FIRING, Told.RESOLVED]), len(edges)))
    assert bool(opened) == (len(edges) % 2 == 1)


# --- words --------------------------------------------------------------------------------------------

SOURCE = {"app": "shop", "host": "web1", "url": "http://127.0.0.1:8000"}
DOWN = Tell(Told.FIRING, "db", "fail", "refused <at> once", 1_700_000_000.0)
BACK = Tell(Told.RESOLVED, "mail", "pass", "accepts", 1_700_000_000.0, 1_700_000_090.0)


def note(*tells: Tell) -> dict[str, Any]:
    return messages.notification("n1", tells, SOURCE, 1_700_000_100.0)


def test_words_say_what_for_how_long_and_where_to_look() -> None:
    assert messages.subject(note(BACK, DOWN)) == "[shop] db and 1 more: failing"
    assert messages.subject(note(BACK)) == "[shop] mail: resolved"
    assert messages.lines(note(DOWN, BACK)) == [
        "✗ db is failing since 2023-11-14T22:13:20.000Z: refused <at> once",
        "✓ mail is healthy again after 1m30s: accepts",
    ]
    assert "http://127.0.0.1:8000/health/dashboard/html" in messages.text(note(DOWN))
    assert "&lt;at&gt;" in messages.slack(note(DOWN))["text"]


def test_alertmanager_gets_labels_and_an_end_for_what_is_over() -> None:
    down, back = messages.alertmanager(note(DOWN, BACK))
    assert down["labels"]["service"] == "db"
    assert "endsAt" not in down
    assert back["endsAt"] == "2023-11-14T22:15:00.000Z"
    assert set(down["labels"]) == {"alertname", "service", "app", "instance", "severity"}


# --- the pager ----------------------------------------------------------------------------------------


class World:
    """A pager with a clock, a board with one service, and a receiver that can be made to fail."""

    def __init__(self, root: Path) -> None:
        self.now = Instant(100.0, 1_700_000_000.0)
        check = {"type": "tcp", "port": 1, "rise": 1, "fall": 1}
        settings = Settings(root=root, services={"db": ServiceSettings("db", check=check)})
        self.board = Board(plan(settings, root, supervised=True), self.now)
        self.database = root / "state.db"
        self.received: list[Mapping[str, Any]] = []
        self.refusal: NotDelivered | None = None
        self.attempts = 0
        self.pager = self.restarted()

    def restarted(self) -> Pager:
        alerts = {"ops": {"webhook": "http://127.0.0.1:1/"}}
        self.pager = Pager(
            alerts,
            self.database,
            lambda: self.board.snapshot,
            lambda: {"app": "shop", "url": ""},
            clock=lambda: self.now,
            deliver=self.deliver,
        )
        return self.pager

    def deliver(self, _alert: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        self.attempts += 1
        if self.refusal is not None:
            raise self.refusal
        self.received.append(body)

    def find(self, status: Status) -> None:
        (entry,) = self.board.snapshot.services["db"].checks
        self.board.record(entry.spec, Result(status, "as measured"), self.now)

    def wait(self, seconds: float) -> None:
        self.now = Instant(self.now.monotonic_seconds + seconds, self.now.epoch_seconds + seconds)
        self.pager.tick()
        self.pager.outbox.join(30.0)

    @property
    def words(self) -> list[str]:
        return [f"{a['status']} {a['service']}" for body in self.received for a in body["alerts"]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_failure_and_recovery_are_delivered_once_each(world: World) -> None:
    world.find(Status.FAIL)
    for _ in range(5):
        world.wait(GROUP_SECONDS)
    world.find(Status.PASS)
    for _ in range(3):
        world.wait(1.0)
    assert world.words == ["firing db", "resolved db"]
    assert world.pager.counts == {("ops", "sent"): 2, ("ops", "failed"): 0}


def test_what_could_not_be_delivered_survives_a_crash_and_comes_in_order(world: World) -> None:
    world.refusal = NotDelivered("nobody there")
    world.find(Status.FAIL)
    world.wait(GROUP_SECONDS)
    world.find(Status.PASS)
    world.wait(1.0)
    assert (world.received, world.pager.counts["ops", "failed"]) == ([], 1)
    world.restarted()
    world.refusal = None
    world.wait(retry_seconds(0))
    assert world.words == ["firing db", "resolved db"]


def test_restart_neither_repeats_an_alert_nor_forgets_its_end(world: World) -> None:
    world.find(Status.FAIL)
    world.wait(GROUP_SECONDS)
    world.restarted()
    world.wait(60.0)
    assert world.words == ["firing db"]
    world.find(Status.PASS)
    world.restarted()
    world.wait(1.0)
    assert world.words == ["firing db", "resolved db"]


def test_tries_get_rarer_while_the_receiver_is_down(world: World) -> None:
    world.refusal = NotDelivered("nobody there")
    world.find(Status.FAIL)
    for _ in range(600):
        world.wait(1.0)
    assert 7 <= world.attempts <= 10
    world.refusal = None
    world.wait(retry_seconds(20))
    assert world.words == ["firing db"]


def test_message_that_is_refused_for_good_does_not_block_the_next(world: World) -> None:
    world.refusal = NotDelivered("the receiver answered 400", final=True)
    world.find(Status.FAIL)
    for _ in range(REFUSED_ATTEMPTS):
        world.wait(retry_seconds(20))
    assert world.attempts == REFUSED_ATTEMPTS
    world.refusal = None
    world.find(Status.PASS)
    world.wait(1.0)
    assert world.words == ["resolved db"]


def test_store_that_cannot_be_written_delays_no_alert(world: World) -> None:
    world.database.mkdir()
    world.find(Status.FAIL)
    world.wait(GROUP_SECONDS)
    assert world.words == ["firing db"]
    world.database.rmdir()
    world.find(Status.PASS)
    world.wait(1.0)
    assert world.words == ["firing db", "resolved db"]
    with Store.open(world.database) as store:
        assert store.alerts.opened() == []
        assert store.alerts.channels() == []


def test_alert_that_was_sent_but_cannot_be_ticked_off_is_not_sent_again(world: World) -> None:
    """A full disk lets the queue be read and not be written."""
    world.find(Status.FAIL)
    world.refusal = NotDelivered("later")
    world.wait(GROUP_SECONDS)
    world.refusal = None
    with Store.open(world.database) as store, store._database.transaction():
        for _ in range(3):
            world.wait(60.0)
    assert world.words == ["firing db"]
    world.wait(1.0)
    assert world.words == ["firing db"]
    with Store.open(world.database) as store:
        assert store.alerts.channels() == []
