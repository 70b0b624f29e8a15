"""How results become a status."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.health.evaluate import evaluate, initial
from oatie_ops.health.model import CheckState, Instant, Result, Status

PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN
STATUSES = st.sampled_from(list(Status))


def at(second: float) -> Instant:
    return Instant(second, 1_000_000 + second)


def walk(results: list[Status], rise: int = 2, fall: int = 3) -> list[CheckState]:
    states = [initial(at(0))]
    for second, status in enumerate(results, 1):
        states.append(evaluate(states[-1], Result(status, status.value), rise, fall, at(second)))
    return states[1:]


def statuses(results: list[Status], rise: int = 2, fall: int = 3) -> list[Status]:
    return [state.status for state in walk(results, rise, fall)]


@pytest.mark.parametrize("first", [PASS, WARN, FAIL, UNKNOWN])
def test_first_result_counts_at_once(first: Status) -> None:
    assert statuses([first]) == [first]


def test_failing_takes_fall_results_in_a_row() -> None:
    assert statuses([PASS, FAIL, FAIL, FAIL]) == [PASS, PASS, PASS, FAIL]
    assert statuses([PASS, FAIL, FAIL, PASS, FAIL, FAIL]) == [PASS] * 6


def test_recovering_takes_rise_results_in_a_row() -> None:
    assert statuses([FAIL, PASS, PASS]) == [FAIL, FAIL, PASS]
    assert statuses([FAIL, PASS, FAIL, PASS]) == [FAIL] * 4


def test_mixed_bad_results_lead_to_the_mildest_of_them() -> None:
    assert statuses([PASS, FAIL, WARN, FAIL]) == [PASS, PASS, PASS, WARN]


def test_warning_that_goes_on_failing_fails_without_counting_anew() -> None:
    assert statuses([PASS, WARN, FAIL, FAIL, FAIL]) == [PASS, PASS, PASS, WARN, FAIL]


def test_recovery_through_warnings_stops_at_warn() -> None:
    assert statuses([FAIL, WARN, PASS, PASS]) == [FAIL, FAIL, WARN, PASS]


def test_unknown_results_change_nothing_until_fall_of_them() -> None:
    assert statuses([PASS, UNKNOWN, UNKNOWN, UNKNOWN, PASS]) == [PASS, PASS, PASS, UNKNOWN, PASS]


def test_unknown_does_not_interrupt_a_row_of_failures() -> None:
    assert statuses([PASS, FAIL, FAIL, UNKNOWN, FAIL])[-1] is FAIL


def test_since_is_when_the_status_was_entered() -> None:
    states = walk([PASS, PASS, FAIL, FAIL, FAIL, FAIL])
    assert [state.since.monotonic_seconds for state in states] == [1, 1, 1, 1, 5, 5]
    assert states[-1].checked_at == at(6)


def test_undecided_while_the_latest_result_disagrees() -> None:
    assert [state.undecided for state in walk([PASS, FAIL, UNKNOWN, FAIL, FAIL])] == [
        False,
        True,
        False,
        True,
        False,
    ]


@given(st.lists(STATUSES, max_size=40), st.integers(1, 5), st.integers(1, 5))
def test_status_is_always_one_that_was_measured(results: list[Status], rise: int, fall: int) -> None:
    for index, state in enumerate(walk(results, rise, fall)):
        assert state.status is UNKNOWN or state.status in results[: index + 1]


@given(st.lists(STATUSES, max_size=40), STATUSES, st.integers(1, 5), st.integers(1, 5))
def test_enough_equal_results_always_decide(
    results: list[Status], last: Status, rise: int, fall: int
) -> None:
    assert statuses(results + [last] * max(rise, fall), rise, fall)[-1] is last


@given(st.lists(st.sampled_from([PASS, WARN, FAIL]), min_size=1, max_size=40))
def test_with_rise_and_fall_of_one_the_status_is_the_latest_result(results: list[Status]) -> None:
    assert statuses(results, 1, 1) == results
