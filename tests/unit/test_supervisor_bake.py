"""Does a new release survive its first seconds in the open?"""

from __future__ import annotations

from oatie_ops.supervisor.bake import Traffic, judge
from oatie_ops.traffic.totals import WorkerSample


def verdict(now: Traffic, before: Traffic | None = None, failed_probes: int = 0) -> str | None:
    return judge(now, before or Traffic(), max_error_ratio=0.05, failed_probes=failed_probes)


def test_no_traffic_is_no_reason_to_go_back() -> None:
    assert verdict(Traffic()) is None


def test_server_errors_above_the_allowed_ratio_send_it_back_with_both_ratios() -> None:
    reason = verdict(Traffic(requests=100, errors=10), Traffic(requests=1000, errors=1))
    assert reason is not None
    assert "10 of 100" in reason
    assert "0.1%" in reason


def test_a_handful_of_requests_proves_nothing() -> None:
    assert verdict(Traffic(requests=19, errors=19)) is None


def test_a_release_is_not_blamed_for_errors_that_the_one_before_made_as_often() -> None:
    assert verdict(Traffic(requests=100, errors=12), Traffic(requests=1000, errors=100)) is None


def test_three_failed_probes_in_a_row_send_it_back() -> None:
    assert verdict(Traffic(), failed_probes=2) is None
    assert "3 times" in str(verdict(Traffic(), failed_probes=3))


def test_much_slower_answers_send_it_back_only_above_the_floor() -> None:
    before = Traffic(requests=1000, timed=1000, busy_seconds=10.0)  # 10 ms
    assert verdict(Traffic(requests=100, timed=100, busy_seconds=20.0), before) is None  # 200 ms
    assert "10 ms" in str(verdict(Traffic(requests=100, timed=100, busy_seconds=30.0), before))  # 300 ms


def test_traffic_is_the_sum_over_workers() -> None:
    sample = WorkerSample(
        beat=1.0, requests=10, errors=1, in_flight=0, connections=2, timed=5, busy_seconds=0.5
    )
    assert Traffic.of([sample, sample]) == Traffic(requests=20, errors=2, timed=10, busy_seconds=1.0)
