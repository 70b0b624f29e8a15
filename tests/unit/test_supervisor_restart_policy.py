"""When a worker that ended is started again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.supervisor.restart_policy import Ending, Restart, next_restart


def decide(endings: list[Ending], now: float = 100.0, jitter: float = 0.0) -> Restart:
    return next_restart(endings, now, limit=5, window_seconds=60.0, jitter=jitter)


def test_a_worker_that_had_served_is_replaced_at_once() -> None:
    assert decide([Ending(100.0, served=True)]) == Restart(0.0, looping=False)


def test_the_first_boot_does_not_wait() -> None:
    assert decide([]) == Restart(0.0, looping=False)


@pytest.mark.parametrize(("failed_boots", "delay"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0)])
def test_failed_boots_back_off_from_the_first(failed_boots: int, delay: float) -> None:
    endings = [Ending(100.0, served=False)] * failed_boots
    assert decide(endings) == Restart(delay, looping=False)


def test_a_worker_that_served_ends_a_row_of_failed_boots() -> None:
    endings = [Ending(99.0, served=False), Ending(99.5, served=False), Ending(100.0, served=True)]
    assert decide(endings).delay_seconds == 0.0


def test_more_ends_than_the_limit_is_a_loop_that_is_tried_slowly() -> None:
    restart = decide([Ending(100.0, served=True)] * 6)
    assert restart.looping
    assert restart.delay_seconds == 30.0


def test_ends_before_the_window_are_forgotten() -> None:
    assert decide([Ending(30.0, served=False)] * 50, now=100.0) == Restart(0.0, looping=False)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=60),
    st.floats(0, 0.999),
)
def test_the_delay_is_never_negative_nor_above_its_maximum(
    ends: list[tuple[float, bool]], jitter: float
) -> None:
    endings = [Ending(at, served) for at, served in sorted(ends)]
    restart = decide(endings, jitter=jitter)
    assert 0.0 <= restart.delay_seconds <= 30.0
    assert restart.looping == (len([e for e in endings if 100.0 - e.at <= 60.0]) > 5)
