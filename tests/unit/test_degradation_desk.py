"""Deciding: the file, the bulletin and the store agree, whoever writes and whatever is broken."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from oatie_ops.degradation import bulletin as bulletins
from oatie_ops.degradation.decision import Decision, Now
from oatie_ops.degradation.desk import Desk
from oatie_ops.degradation.install import install
from oatie_ops.degradation.page import SIZE, Page, SwitchesUnusable, locked
from oatie_ops.degradation.word import Owner, level_now, unpack
from oatie_ops.identity import boot_id
from oatie_ops.paths import StatePaths
from oatie_ops.recovery.breaker.circuit import CircuitBreaker
from oatie_ops.recovery.breaker.declared import file_of, publish
from oatie_ops.recovery.breaker.state import State
from oatie_ops.store import Store

RULES = {"reports": {"routes": ["/api/reports*"], "responses": [], "retry_after": 30.0, "auto": []}}


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path / ".oatie")
    paths.ensure()
    install(paths, RULES)
    return paths


def wanted(seconds: float | None = 3600.0, **more: object) -> Decision:
    values = {
        "service": "reports",
        "owner": "operator",
        "level": 100,
        "reason": "slow",
        "actor": "alice",
        "origin": "tty",
        "started_at": time.time(),
        **more,
    }
    if seconds is not None:
        values |= {
            "until": time.time() + seconds,
            "deadline": time.monotonic() + seconds,
            "boot_id": boot_id(),
        }
    return Decision(**values)  # type: ignore[arg-type]


def level(paths: StatePaths, service: str = "reports") -> int:
    page = Page.open(paths.switches)
    try:
        return level_now(page.of(service), time.monotonic())
    finally:
        page.close()


def test_a_decision_is_in_the_word_the_bulletin_the_store_and_the_audit(paths: StatePaths) -> None:
    published = Desk(paths).decide(wanted())
    assert published.changed and published.bulletin.problem == ""
    page = Page.open(paths.switches)
    word = unpack(page.of("reports"))
    assert (word.level, word.owner) == (100, Owner.OPERATOR) and word.generation == 1
    assert page.pulse >> 32 == 1
    told = bulletins.read(bulletins.path_of(paths.switches))
    assert [each.reason for each in told.decisions] == ["slow"] and told.rules == RULES
    with Store.open(paths.database) as store:
        assert [row["actor"] for row in store.switches.active()] == ["alice"]
        line = store.audit.recent()[0]
        assert (line.actor, line.origin, line.action, line.subject) == ("alice", "tty", "degrade", "reports")


def test_restoring_clears_the_word_and_keeps_who_did_it(paths: StatePaths) -> None:
    desk = Desk(paths)
    desk.decide(wanted())
    desk.restore("reports", "bob", "ssh", "calm again")
    assert level(paths) == 0
    with Store.open(paths.database) as store:
        past = store.switches.past()
        assert [(row["how"], row["ended_by"]) for row in past] == [("restored", "bob")]
        assert store.audit.recent()[0].action == "restore"


def test_a_word_ends_by_itself_and_the_next_look_cleans_up(paths: StatePaths) -> None:
    desk = Desk(paths)
    desk.decide(wanted(seconds=0.01))
    page = Page.open(paths.switches)
    assert level_now(page.of("reports"), time.monotonic() + 1.0) == 0
    time.sleep(0.02)
    assert desk.refresh().bulletin.decisions == ()
    assert page.of("reports") & 0xFF == 0
    assert [(each.how, each.by) for each in desk.past()] == [("expired", "time")]


def test_without_a_change_no_reader_is_disturbed(paths: StatePaths) -> None:
    desk = Desk(paths)
    changes = desk.decide(wanted()).changes
    assert desk.refresh().changes == changes
    assert not desk.refresh().changed


def test_a_locked_store_keeps_nobody_from_deciding_and_learns_of_it_later(paths: StatePaths) -> None:
    desk = Desk(paths)
    desk.decide(wanted(owner="breaker", cause="health:db"))
    blocker = sqlite3.connect(paths.database, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    try:
        published = desk.decide(wanted(level=40))
        assert "locked" in published.bulletin.problem or "busy" in published.bulletin.problem
        assert level(paths) == 40
        desk.restore("reports", "bob", "ssh")
        assert level(paths) == 0
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    published = desk.refresh()
    assert published.bulletin.problem == "" and published.bulletin.pending == ()
    with Store.open(paths.database) as store:
        assert [(row["owner"], row["overruled_by"]) for row in store.switches.active()] == [
            ("breaker", "bob")
        ]
        assert [row["how"] for row in store.switches.past()] == ["restored"]
    assert level(paths) == 0


def test_what_was_decided_survives_the_loss_of_the_run_directory(paths: StatePaths) -> None:
    Desk(paths).decide(wanted())
    for path in paths.run.iterdir():
        path.unlink()
    install(paths, RULES)
    assert level(paths) == 100


def test_words_of_another_boot_are_made_anew_from_the_store(paths: StatePaths) -> None:
    Desk(paths).decide(wanted(seconds=1000.0))
    page = Page.open(paths.switches)
    page.words[1] = 12345  # the hash of the boot
    assert not page.of_this_boot
    later = Now(5.0, time.time() + 100.0, boot_id())
    with Store.open(paths.database) as store:
        made = store.switches.active()[0]
    connection = sqlite3.connect(paths.database)
    connection.execute("UPDATE switches SET boot_id = 'another'")
    connection.commit()
    connection.close()
    Desk(paths, clock=lambda: later).refresh()
    assert page.of_this_boot
    left = unpack(page.of("reports")).deadline_seconds
    assert left is not None and made["until"] - later.epoch_seconds == pytest.approx(left - 5.0, abs=0.2)


def test_a_file_that_is_none_of_ours_is_replaced(paths: StatePaths) -> None:
    paths.switches.write_bytes(b"not a switches file" * 100)
    page = Page.open(paths.switches)
    assert page.of_this_boot and page.names() == {}
    assert paths.switches.stat().st_size == SIZE
    assert paths.switches.stat().st_mode & 0o777 == 0o600


def test_a_damaged_bulletin_is_made_anew_from_the_store(paths: StatePaths) -> None:
    desk = Desk(paths)
    desk.decide(wanted())
    bulletins.path_of(paths.switches).write_text("{half")
    assert [each.reason for each in desk.refresh().bulletin.decisions] == ["slow"]


def test_names_keep_their_numbers_and_too_long_ones_are_refused(paths: StatePaths) -> None:
    page = Page.open(paths.switches)
    with locked(paths.switches):
        numbers = [page.number_of(name) for name in ("reports", "zählung", "search", "reports")]
    assert numbers == [0, 1, 2, 0]
    assert Page.open(paths.switches).names() == {"reports": 0, "zählung": 1, "search": 2}
    with pytest.raises(SwitchesUnusable, match="no switch"):
        page.number_of("x" * 64)


def test_a_writer_that_never_lets_go_is_reported(paths: StatePaths) -> None:
    late = locked(paths.switches, 0.02)
    with locked(paths.switches), pytest.raises(SwitchesUnusable, match="another process"), late:
        pass


def test_writers_queue(paths: StatePaths) -> None:
    def decide(number: int) -> None:
        Desk(paths).decide(wanted(service=f"s{number}"))

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [level(paths, f"s{number}") for number in range(6)] == [100] * 6


def test_a_removed_directory_is_made_anew_and_those_who_mapped_the_old_file_still_obey(
    paths: StatePaths,
) -> None:
    desk = Desk(paths)
    desk.decide(wanted(owner="breaker", cause="health:db"))
    before = Page.open(paths.switches)
    shutil.rmtree(paths.run)
    paths.ensure()
    desk.decide(wanted(level=40))
    after = Page.open(paths.switches)
    for page in (before, after):
        assert level_now(page.of("reports"), time.monotonic()) == 40
    assert desk.read().rules == RULES
    after.acknowledge(0, after.changes)
    before.acknowledge(1, before.changes)
    assert desk.obeys(0, os.getpid()) and desk.obeys(1, os.getpid()) and not desk.obeys(2, os.getpid())
    desk.restore("reports", "bob", "ssh")
    assert not desk.obeys(0, os.getpid())
    assert level_now(before.of("reports"), time.monotonic()) == 0


def test_an_operator_opens_the_breaker_of_a_service_and_only_he_does(paths: StatePaths) -> None:
    paths.breakers.mkdir(exist_ok=True)
    publish(paths.breakers, {"database": {"failure_threshold": 3}})
    breaker = CircuitBreaker("database", shared=file_of(paths.breakers, "database"))
    desk = Desk(paths)
    desk.decide(wanted(service="database", owner="breaker", cause="recovery:x"))
    assert breaker.state is State.CLOSED
    desk.decide(wanted(service="database"))
    assert breaker.state is State.FORCED_OPEN and 3500 < breaker.retry_after <= 3600
    desk.decide(wanted(service="database", level=50))
    assert breaker.state is State.CLOSED
    desk.decide(wanted(seconds=None, service="database"))
    assert breaker.state is State.FORCED_OPEN
    desk.restore("database", "bob", "ssh")
    assert breaker.state is State.CLOSED
    desk.decide(wanted(service="reports"))
    assert not file_of(paths.breakers, "reports").exists()


def test_readers_that_live_are_counted_and_the_dead_are_not(paths: StatePaths) -> None:
    page = Page.open(paths.switches)
    page.acknowledge(3, 7)
    page.words[(len(page.words) - 1)] = (2**22 + 1) << 32 | 5  # beyond the highest pid of Linux
    assert page.readers(workers=True) == {os.getpid(): 7}
    assert page.readers(workers=False) == {}


def test_a_service_of_the_application_can_be_registered_but_not_in_place_of_a_declared_one(
    paths: StatePaths,
) -> None:
    desk = Desk(paths)
    desk.register("reports", {"routes": ["/other"]})
    desk.register("search", {"routes": ["/search"]})
    desk.register("search", {"routes": ["/find"]})
    rules = desk.read().rules
    assert rules["reports"]["routes"] == ["/api/reports*"] and rules["search"]["routes"] == ["/find"]
    install(paths, RULES)
    assert "search" not in desk.read().rules


def test_staleness_is_in_the_file_and_in_the_bulletin(paths: StatePaths) -> None:
    desk = Desk(paths)
    desk.mark_stale("Redis: gone")
    assert desk.page.stale and desk.read().stale == "Redis: gone"
    assert desk.decide(wanted()).bulletin.stale == "Redis: gone"
    desk.mark_stale("")
    assert not desk.page.stale and desk.read().stale == ""


def test_a_reboot_does_not_lengthen_a_decision(paths: StatePaths) -> None:
    decision = replace(wanted(seconds=60.0), boot_id="another", deadline=1.0)
    published = Desk(paths).decide(decision)
    left = published.bulletin.decisions[0].left_seconds(Desk(paths).now())
    assert left is not None and 50.0 < left <= 60.0
