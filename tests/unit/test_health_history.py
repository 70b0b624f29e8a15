"""What is remembered beyond a status: uptime, latency, flapping, consequences, maintenance, the store."""

from __future__ import annotations

import sqlite3
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.health import history, maintenance
from oatie_ops.health.board import Board, Change
from oatie_ops.health.consequences import cause_of
from oatie_ops.health.flapping import ENTER_CHANGES, WINDOW_SECONDS, is_flapping
from oatie_ops.health.keeper import Keeper
from oatie_ops.health.latency import WINDOW, LatencyWindow
from oatie_ops.health.model import CheckSpec, Instant, Result, Status
from oatie_ops.health.plan import NEEDS, ServicePlan
from oatie_ops.health.standing import Maintenance
from oatie_ops.health.uptime import DAY, HOUR, WEEK, UptimeLedger
from oatie_ops.store import Store

EPOCH = 1_700_000_000.0
PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN


def at(seconds: float, stepped: float = 0.0) -> Instant:
    """``seconds`` after the start; ``stepped``: how far somebody has set the wall clock."""
    return Instant(1000 + seconds, EPOCH + seconds + stepped)


def spec(service: str, kind: str = "tcp") -> CheckSpec:
    return CheckSpec(service, kind, kind, rise=1, fall=1)


def plans(**needs: tuple[str, ...]) -> list[ServicePlan]:
    return [ServicePlan(name, (spec(name),), parents) for name, parents in needs.items()]


def tell(board: Board, service: str, status: Status, now: Instant, seconds: float = 0.01) -> list[Change]:
    return board.record(spec(service), Result(status, f"{service} {status}", duration_seconds=seconds), now)


# --- uptime ---------------------------------------------------------------------------------------------


def test_uptime_is_the_share_of_known_time_in_each_span() -> None:
    ledger = UptimeLedger()
    ledger.add(PASS, DAY, EPOCH)
    ledger.add(FAIL, HOUR, EPOCH + HOUR)
    ledger.add(UNKNOWN, HOUR, EPOCH + 2 * HOUR)
    ledger.add(WARN, HOUR, EPOCH + 3 * HOUR)
    found = ledger.summary(EPOCH + 3 * HOUR)
    assert found.hour == 1.0
    assert found.week == pytest.approx((DAY + HOUR) / (DAY + 2 * HOUR), abs=1e-6)
    assert found.known_seconds == DAY + 2 * HOUR


def test_uptime_of_nothing_known_is_not_a_number() -> None:
    found = UptimeLedger().summary(EPOCH)
    assert (found.hour, found.day, found.week) == (None, None, None)


@given(st.lists(st.tuples(st.sampled_from([PASS, FAIL]), st.floats(0.1, 5000)), max_size=60))
def test_uptime_counts_every_second_once_and_stays_small(spans: list[tuple[Status, float]]) -> None:
    ledger, now = UptimeLedger(), EPOCH
    for status, seconds in spans:
        now += seconds
        ledger.add(status, seconds, now)
    assert ledger.summary(now).known_seconds == pytest.approx(sum(s for _, s in spans), abs=0.2)
    fine, coarse = ledger.buckets()
    assert len(fine) <= 15
    assert len(coarse) <= WEEK / HOUR + 2
    assert [start for start, *_ in coarse] == sorted(start for start, *_ in coarse)


def test_a_step_of_the_wall_clock_changes_no_uptime_and_ends_no_maintenance() -> None:
    board = Board(plans(db=()), at(0))
    board.hold([Maintenance(1, "other", "", "", EPOCH, None)], at(0))
    for second in range(0, 600, 10):
        tell(board, "db", PASS, at(second, stepped=3600 if second > 300 else 0))
    tell(board, "db", PASS, at(600, stepped=-3600))
    found = board.snapshot.services["db"].uptime
    assert (found.hour, found.known_seconds) == (1.0, 600.0)

    window = Maintenance(2, "db", "patch", "me", EPOCH + 600, EPOCH + 900)
    board.hold([window], at(600))
    board.hold([window], at(700, stepped=3600))
    assert board.snapshot.services["db"].maintenance == window
    board.look_around(at(901, stepped=-3600))
    assert board.snapshot.services["db"].maintenance is None


def test_time_that_nobody_measured_counts_for_nothing() -> None:
    board = Board(plans(db=()), at(0))
    tell(board, "db", PASS, at(0))
    tell(board, "db", PASS, at(50_000))
    assert board.snapshot.services["db"].uptime.known_seconds == 120


def counted_anew(ledger: UptimeLedger) -> UptimeLedger:
    fresh = UptimeLedger()
    fresh.merge(*ledger.buckets())
    return fresh


@given(
    st.lists(
        st.tuples(
            st.sampled_from([PASS, FAIL, UNKNOWN]),
            st.one_of(st.floats(0.1, 40), st.sampled_from([300.0, 3600.0, 86_400.0]), st.floats(0.1, 90_000)),
        ),
        max_size=40,
    )
)
def test_uptime_that_is_kept_from_result_to_result_is_the_one_that_is_counted_anew(
    spans: list[tuple[Status, float]],
) -> None:
    ledger, now = UptimeLedger(), EPOCH
    for status, seconds in spans:
        now += seconds
        ledger.add(status, seconds, now)
        kept, anew = ledger.summary(now), counted_anew(ledger).summary(now)
        assert kept.known_seconds == pytest.approx(anew.known_seconds, abs=0.3)
        for own, other in ((kept.hour, anew.hour), (kept.day, anew.day), (kept.week, anew.week)):
            assert own == (None if other is None else pytest.approx(other, abs=1e-4))


# --- latency --------------------------------------------------------------------------------------------


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=2 * WINDOW), st.lists(st.integers(0, 10**7), max_size=9)
)
def test_samples_are_kept_in_order(values: list[float], older: list[int]) -> None:
    window = LatencyWindow()
    for number, value in enumerate(values):
        if number == len(values) // 2:
            window.prepend(older)
        window.add(value)
    ordered = sorted(window.microseconds())
    found = window.summary()
    assert found.samples == len(ordered)
    for known, share in ((found.p50_seconds, 0.5), (found.p95_seconds, 0.95), (found.p99_seconds, 0.99)):
        assert known is not None
        assert round(known * 1e6) == ordered[max(0, ceil(share * len(ordered)) - 1)]


def test_percentiles_are_values_that_were_measured() -> None:
    window = LatencyWindow()
    for value in range(1, 101):
        window.add(value / 1000)
    found = window.summary()
    assert found.p50_seconds == pytest.approx(0.050)
    assert found.p95_seconds == pytest.approx(0.095)
    assert found.p99_seconds == pytest.approx(0.099)
    assert found.recent_seconds[-1] == pytest.approx(0.1)


def test_latency_forgets_the_oldest_beyond_its_window() -> None:
    window = LatencyWindow()
    for _ in range(WINDOW):
        window.add(9.0)
    for _ in range(WINDOW):
        window.add(0.001)
    assert window.summary().samples == WINDOW
    assert window.summary().p99_seconds == pytest.approx(0.001)


def test_refusals_are_no_latency_but_time_outs_are() -> None:
    board = Board(plans(db=()), at(0))
    tell(board, "db", FAIL, at(1), seconds=0.000_01)
    assert board.snapshot.services["db"].latency.samples == 0
    board.record(spec("db"), Result(FAIL, "timed out", duration_seconds=2.0, trouble="timeout"), at(2))
    assert board.snapshot.services["db"].latency.p50_seconds == 2.0


# --- flapping -------------------------------------------------------------------------------------------


def test_flapping_is_entered_by_many_changes_and_left_after_quiet() -> None:
    board = Board(plans(db=()), at(0))
    tell(board, "db", PASS, at(0))
    changes: list[Change] = []
    for turn in range(ENTER_CHANGES):
        assert not board.snapshot.services["db"].flapping
        changes = tell(board, "db", PASS if turn % 2 else FAIL, at(10 + turn))
    assert board.snapshot.services["db"].flapping
    assert changes[0].flapping
    tell(board, "db", PASS, at(10 + WINDOW_SECONDS / 2))
    assert board.snapshot.services["db"].flapping
    tell(board, "db", PASS, at(10 + WINDOW_SECONDS + ENTER_CHANGES))
    assert not board.snapshot.services["db"].flapping


def test_a_service_that_fails_and_recovers_once_does_not_flap() -> None:
    assert not is_flapping(False, [0.0, 60.0], 61.0)


# --- consequences ---------------------------------------------------------------------------------------


NAMES = ("a", "b", "c", "d", "e")


@given(
    st.fixed_dictionaries({name: st.lists(st.sampled_from(NAMES), max_size=3).map(tuple) for name in NAMES}),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(list(Status))), max_size=25),
)
def test_what_a_result_concerns_is_all_that_it_changes(
    needs: dict[str, tuple[str, ...]], results: list[tuple[str, Status]]
) -> None:
    """A look at everything after each result finds nothing that the result has left behind."""
    board = Board(plans(**needs), at(0))
    for number, (name, status) in enumerate(results):
        tell(board, name, status, at(number + 1))
        for state in board.snapshot.services.values():
            assert state.consequence_of == cause_of(state.name, board.snapshot.services)


def test_result_leaves_services_that_it_does_not_concern_as_they_are() -> None:
    """So a thousand services that begin or end together cost a thousand steps and not a million."""
    others = {f"s{number}": () for number in range(50)}
    board = Board(plans(disk=(), db=("disk",), **others), at(0))
    board.look_around(at(0))
    before = board.snapshot.services
    assert tell(board, "disk", FAIL, at(1))
    after = board.snapshot.services
    assert {name for name in before if before[name] is not after[name]} == {"disk", "db"}
    board.look_around(at(2))
    assert all(board.snapshot.services[name] is after[name] for name in after), "nothing has changed"


def test_child_of_a_failed_parent_is_reported_as_its_consequence() -> None:
    board = Board(plans(disk=(), db=("disk",), api=("db",)), at(0))
    for name in ("disk", "db", "api"):
        tell(board, name, PASS, at(1))
    tell(board, "disk", FAIL, at(2))
    tell(board, "db", FAIL, at(3))
    (change,) = tell(board, "api", FAIL, at(4))
    assert change.consequence_of == "disk"
    assert board.snapshot.services["db"].consequence_of == "disk"
    assert board.snapshot.services["disk"].consequence_of == ""
    assert board.snapshot.services["api"].standing.transitions[0].consequence_of == "disk"
    assert board.snapshot.worst_first[0].name == "disk"


def test_child_that_fails_before_its_parent_becomes_a_consequence_and_ceases_to_be_one() -> None:
    board = Board(plans(db=(), api=("db",)), at(0))
    tell(board, "db", PASS, at(1))
    (change,) = tell(board, "api", FAIL, at(2))
    assert change.consequence_of == ""
    tell(board, "db", FAIL, at(3))
    assert board.snapshot.services["api"].consequence_of == "db"
    tell(board, "db", PASS, at(4))
    assert board.snapshot.services["api"].status is FAIL
    assert board.snapshot.services["api"].consequence_of == ""


def test_needs_that_go_in_a_circle_are_walked_once() -> None:
    board = Board(plans(a=("b",), b=("a",)), at(0))
    tell(board, "a", FAIL, at(1))
    tell(board, "b", FAIL, at(2))
    assert cause_of("a", board.snapshot.services) == "b"


# --- maintenance ----------------------------------------------------------------------------------------


def test_maintenance_leaves_the_status_true_and_the_summary_quiet() -> None:
    board = Board(plans(db=(), api=("db",), web=()), at(0))
    for name, status in (("db", FAIL), ("api", FAIL), ("web", PASS)):
        tell(board, name, status, at(1))
    assert board.snapshot.status is FAIL
    board.hold([Maintenance(1, "db", "upgrade", "me", EPOCH, EPOCH + 60)], at(2))
    assert board.snapshot.services["db"].status is FAIL
    assert board.snapshot.services["api"].maintenance is not None, "a consequence is covered too"
    assert board.snapshot.status is PASS
    board.look_around(at(61))
    assert board.snapshot.status is FAIL


def test_time_under_maintenance_counts_neither_way() -> None:
    board = Board(plans(db=()), at(0))
    tell(board, "db", PASS, at(0))
    tell(board, "db", PASS, at(60))
    board.hold([Maintenance(1, "*", "", "me", EPOCH, None)], at(60))
    tell(board, "db", FAIL, at(100))
    tell(board, "db", FAIL, at(160))
    assert board.snapshot.services["db"].uptime.week == 1.0


def test_windows_are_kept_in_the_store_and_end_or_are_ended(tmp_path: Path) -> None:
    now = EPOCH
    with Store.open(tmp_path / "s.db", clock=lambda: now) as store:
        short = maintenance.begin(store, service="db", seconds=60, reason="patch", actor="me")
        maintenance.begin(store, seconds=None, reason="move", actor="me")
        assert [w.service for w in maintenance.active(store)] == ["*", "db"]
        now += 61
        assert [w.service for w in maintenance.active(store)] == ["*"]
        assert short in maintenance.lately(store)
        assert maintenance.end(store, actor="you") == 1
        assert maintenance.active(store) == ()
        assert maintenance.lately(store) == (short,)


# --- the store ------------------------------------------------------------------------------------------


def test_history_survives_a_restart(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "s.db")
    board = Board(plans(db=()), at(0))
    assert keeper.recall(["db"]) is not None
    tell(board, "db", PASS, at(0))
    for change in (*tell(board, "db", PASS, at(30)), *tell(board, "db", FAIL, at(60))):
        keeper.add(change.service, board.snapshot.services["db"].standing.transitions[0])
    keeper.save({"db": board.memory("db")})

    again = Board(plans(db=(), new=()), at(100))
    recalled = Keeper(tmp_path / "s.db").recall(["db", "new"])
    assert recalled is not None
    again.restore(recalled.tracks)
    found = again.snapshot.services["db"]
    assert found.uptime.week == 1.0
    assert found.latency.samples == 2
    assert [t.after for t in found.standing.transitions] == ["fail"]
    with Store.open(tmp_path / "s.db") as store:
        told = history.query(store, service="db")
    assert told["transitions"][0]["before"] == "pass"
    assert told["services"]["db"]["hours"][0]["up_seconds"] == 60


def test_locked_store_is_told_and_nothing_is_lost_when_it_is_free_again(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    keeper, board = Keeper(path), Board(plans(db=()), at(0))
    keeper.recall(["db"])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    tell(board, "db", FAIL, at(1))
    keeper.add("db", board.snapshot.services["db"].standing.transitions[0])
    keeper.save({})
    assert "locked" in keeper.problem
    assert keeper.has_waiting
    other.execute("ROLLBACK")
    keeper.save({})
    assert (keeper.problem, keeper.has_waiting) == ("", False)
    with Store.open(path) as store:
        assert [row.after for row in store.health.transitions("db")] == ["fail"]


def test_damaged_store_does_not_raise(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(b"not a database" * 1000)
    keeper = Keeper(tmp_path / "s.db")
    assert keeper.recall(["db"]) is None
    assert "damaged" in keeper.problem


def test_a_window_set_elsewhere_is_seen_at_the_next_look_and_a_quiet_store_is_not_read(
    tmp_path: Path,
) -> None:
    keeper = Keeper(tmp_path / "s.db")
    keeper.recall([])
    assert keeper.look() == ()
    assert keeper.look() is None
    with Store.open(tmp_path / "s.db") as store:
        maintenance.begin(store, seconds=60, reason="", actor="me")
    assert [w.service for w in keeper.look() or ()] == ["*"]


def test_history_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oatie_ops.store.health.KEEP_TRANSITIONS_EACH", 5)
    keeper, board = Keeper(tmp_path / "s.db"), Board(plans(db=()), at(0))
    for turn in range(12):
        tell(board, "db", FAIL if turn % 2 else PASS, at(turn))
        keeper.add("db", board.snapshot.services["db"].standing.transitions[0])
    keeper.save({})
    with Store.open(tmp_path / "s.db") as store:
        assert len(store.health.transitions("db")) == 5


def test_service_without_a_check_of_its_own_has_an_uptime_too() -> None:
    child = ServicePlan("reports", (CheckSpec("reports", NEEDS, NEEDS, rise=1, fall=1),), ("db",))
    board = Board([*plans(db=()), child], at(0))
    tell(board, "db", PASS, at(0))
    for second in range(0, 300, 2):
        board.look_around(at(second))
    assert board.snapshot.services["reports"].uptime.week == 1.0
    assert board.snapshot.services["reports"].uptime.known_seconds == pytest.approx(298, abs=0.2)
