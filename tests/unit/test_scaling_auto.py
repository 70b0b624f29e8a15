"""Following the load: within its bounds, at most twofold, and never without knowing what load costs."""

from __future__ import annotations

from oatie_ops.scaling.auto import Follower, busy_seconds, most_useful
from oatie_ops.scaling.observed import Facts, Observed, observe
from oatie_ops.scaling.setup import Setup
from tests.unit.scaling_history import minutes

ONE_AT_A_TIME = Facts(cores=4.0, slots=1)


def look(arrivals: list[float | None]) -> Observed:
    seen = observe(minutes(arrivals), ONE_AT_A_TIME)
    assert seen is not None
    return seen


def follower(least: int = 1, most: int = 20) -> Follower:
    return Follower(Setup(startup_seconds=5, min_replicas=least, max_replicas=most))


def test_demand_is_in_busy_workers() -> None:
    assert abs(busy_seconds(look([50.0] * 90)) - 0.05) < 1e-6
    # 4 cores at 10 ms: 400/s; each worker does 20/s; a fifth more for what queues.
    assert 19 < most_useful(look([50.0] * 90)) < 30


def test_it_knows_nothing_before_an_hour_of_load() -> None:
    decision = follower().decide(look([50.0] * 59), 2)
    assert decision.workers is None
    assert decision.reason == "needs 1 more minutes of load above 1 rps"


def test_it_gives_what_the_load_needs_and_not_faster_than_twofold() -> None:
    seen = look([100.0] * 120)  # five busy workers, six with the knee at 0.9
    assert follower().decide(seen, 2).workers == 4
    decision = follower().decide(seen, 6)
    assert decision.workers is not None
    assert 6 <= decision.workers <= 8


def test_the_bounds_win() -> None:
    seen = look([100.0] * 120)
    assert follower(most=3).decide(seen, 3).workers == 3
    assert follower(least=9).decide(seen, 9).workers == 9


def test_it_feeds_each_minute_once_and_goes_down_after_the_hold() -> None:
    following = follower()
    load = [100.0] * 120
    first = following.decide(look(list(load)), 8).workers
    assert first is not None
    soon = following.decide(look([*load, 10.0]), first).workers
    assert soon == first
    later = following.decide(look([*load, *[10.0] * 60]), first).workers
    assert later is not None
    assert later < first


def test_a_gap_changes_nothing() -> None:
    following = follower()
    first = following.decide(look([100.0] * 120), 8).workers
    assert following.decide(look([*[100.0] * 120, None, None, 100.0]), 8).workers == first
