"""The replica controller: no look-ahead, within its budget, cheaper than what it is measured against."""

from __future__ import annotations

import random

import pytest

from oatie_ops.scaling import policies
from oatie_ops.scaling.advisor import Advisor, advise
from oatie_ops.scaling.backtest import score
from oatie_ops.scaling.setup import Lane, Setup, needed
from tests.unit.scaling_loads import DAY, bursty, daily

SETUP = Setup()


@pytest.mark.parametrize("load", [daily(1.2), bursty(1.2)], ids=["daily", "bursty"])
def test_what_comes_later_changes_no_decision(load: list[float]) -> None:
    cut = 1111
    scrambled = load[cut:]
    random.Random(5).shuffle(scrambled)
    future = [3.0 * value for value in scrambled]
    whole = advise(load, SETUP)
    assert advise(load[:cut] + future, SETUP)[:cut] == whole[:cut]
    assert advise(load[:cut], SETUP) == whole[:cut]


def test_a_regular_load_costs_less_than_the_tuned_hpa_and_keeps_the_budget() -> None:
    load = daily(4)
    ours = score("ours", load, advise(load, SETUP), SETUP, 2 * DAY)
    tuned = score("hpa", load, policies.hpa_retuned(load, SETUP), SETUP, 2 * DAY)
    assert ours.violations <= 0.006
    assert ours.cost < tuned.cost


def test_replicas_are_never_fewer_than_what_is_seen_to_be_needed() -> None:
    load = bursty(0.5)
    for value, replicas in zip(load, advise(load, SETUP), strict=True):
        assert replicas >= needed(value)


def test_bounds_always_win() -> None:
    setup = Setup(min_replicas=3, max_replicas=5)
    decisions = advise(bursty(0.3), setup)
    assert set(decisions) <= {3, 4, 5}


def test_a_gap_holds_what_there_was_and_is_not_taken_for_nought() -> None:
    advisor = Advisor(SETUP)
    for value in daily(0.3):
        before = advisor.observe(value)
    assert [advisor.observe(None) for _ in range(90)] == [before] * 90
    assert advisor.observe(20.0) >= needed(20.0)


def test_a_load_that_vanished_is_let_go_within_the_hour() -> None:
    load = [8.0 * value for value in bursty(0.1)] + [0.01] * 300
    decisions = advise(load, SETUP)
    assert max(decisions[DAY // 10 - 60 : DAY // 10]) > 10
    assert set(decisions[DAY // 10 + 60 :]) == {1}


def test_a_load_of_nought_needs_one_replica_and_breaks_nothing() -> None:
    assert advise([0.0] * 400, SETUP)[-1] == 1


def test_a_lane_serves_with_what_was_asked_for_a_start_up_ago() -> None:
    lane = Lane(Setup(startup_seconds=120))
    lane.decide(4)
    ready = []
    for _ in range(3):
        ready.append(lane.serve(0.5))
        lane.decide(4)
    assert ready == [1, 1, 4]
    lane.decide(2)
    assert lane.serve(0.5) == 2


def test_what_waits_is_served_later_or_lost() -> None:
    lane = Lane(Setup())
    lane.serve(1.1)
    assert lane.violated
    assert lane.backlog == pytest.approx(0.1)
    assert lane.lost == 0.0
    lane.serve(1.5)
    assert lane.backlog == pytest.approx(1 / 6)
    assert lane.lost == pytest.approx(0.6 - 1 / 6)
