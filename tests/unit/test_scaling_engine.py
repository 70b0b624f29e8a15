"""The models and the advice from a known load: numbers that can be computed by hand, and refusals."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import pytest

from oatie_ops.scaling.engine import ScalingEngine, judge
from oatie_ops.scaling.observed import Facts, Observed, observe
from oatie_ops.scaling.queueing import erlang_c, pool_for, repairman, throughput, workers_for
from oatie_ops.scaling.recommendation import Advice
from oatie_ops.scaling.setup import Setup
from tests.unit.scaling_history import minutes
from tests.unit.scaling_loads import DAY, daily

BOUNDS = (0.001, 0.01, 0.1, 1.0)


def look(arrivals: list[float | None], facts: Facts | None = None, **costs: Any) -> Observed:
    seen = observe(minutes(arrivals, **costs), facts or Facts(cores=2.0))
    assert seen is not None
    return seen


def advice(arrivals: list[float | None], facts: Facts | None = None, **costs: Any) -> Advice:
    facts = facts or Facts(cores=2.0)
    return judge(look(arrivals, facts, **costs), facts, 0.0, Setup())


# --- models ---------------------------------------------------------------------------------------------


def test_the_repairman_agrees_with_what_can_be_computed_by_hand() -> None:
    # One machine, one repairman: works and waits in turn.
    assert repairman(1, 1, 0.01, 0.04) == pytest.approx(20.0)
    # Two machines, one repairman, equal times: 4/5 busy (p0 = 1/5).
    assert repairman(2, 1, 1.0, 1.0) == pytest.approx(0.8)
    assert repairman(7, 2, 0.01, 0.0) == pytest.approx(200.0)
    assert repairman(5000, 2, 0.01, 0.04) == pytest.approx(200.0, rel=1e-6)


def test_the_fewest_workers_are_those_that_were_measured() -> None:
    # The measured knee of two mixes on two cores: more workers than these brought nothing.
    assert workers_for(1, 2, 0.010, 0.040, 100) == 13
    assert workers_for(1, 2, 0.010, 0.010, 100) == 6
    assert workers_for(None, 2, 0.010, 0.040, 100) == 2
    assert throughput(4, None, 2, 0.01, 5.0) == pytest.approx(200.0)


def test_more_workers_never_do_less() -> None:
    for slots in (1, 4, None):
        done = [throughput(n, slots, 1.5, 0.02, 0.1) for n in range(1, 40)]
        assert all(later >= earlier - 1e-9 for earlier, later in pairwise(done))
        assert done[-1] <= 1.5 / 0.02 + 1e-9


def test_erlang_c() -> None:
    assert erlang_c(1, 0.5) == pytest.approx(0.5)
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(2, 2.0) == 1.0
    assert pool_for(3.0, 0.02, 0.005, 0.01) == 8


# --- advice ---------------------------------------------------------------------------------------------


def test_one_at_a_time_and_waiting_gets_more_workers_with_its_evidence() -> None:
    found = advice([60.0] * 240, Facts(cores=2.0, slots=1))
    workers = found.of("workers")
    assert workers is not None
    assert workers.value == 13
    assert workers.current == 2
    assert workers.priority == "high"
    numbers = workers.evidence.numbers
    assert numbers["cpu_seconds_per_request"] == pytest.approx(0.01)
    assert numbers["wait_seconds_per_request"] == pytest.approx(0.04)
    assert "oatie scale workers=13" in workers.action
    assert workers.evidence.formula
    assert workers.evidence.window
    assert workers.evidence.source


def test_memory_caps_the_workers_and_says_so() -> None:
    found = advice([60.0] * 240, Facts(cores=2.0, slots=1), rss_bytes=200e6, memory_limit_bytes=2e9)
    workers = found.of("workers")
    assert workers is not None
    # 2 GB, of which 1 GB is used, 0.4 GB of that by the workers: 1.4 GB for 230 MB each.
    assert workers.value == 6
    assert "as many as the memory holds" in workers.title


def test_workers_that_never_have_two_requests_are_seen_to_do_one_after_the_other() -> None:
    assert look([30.0] * 100, in_flight_most=2.0).places_at_a_time == 1
    assert look([30.0] * 100, in_flight_most=9.0).places_at_a_time is None
    # Hardly any load: two at a time would not have been seen anyway.
    assert look([2.0] * 100, in_flight_most=1.0).places_at_a_time is None


def test_it_refuses_with_what_is_lacking() -> None:
    found = advice([5.0] * 20 + [0.2] * 100)
    assert found.recommendations == ()
    needs = {one.type: one.needs for one in found.unknown}
    assert needs["workers"] == "needs 40 more minutes of load above 1 rps"
    assert needs["replicas"] == "needs 40 more minutes of load above 1 rps"
    assert "needs `oatie start`" in needs["timeout"]


def test_replicas_need_three_hours_and_few_gaps() -> None:
    assert "120 minutes" in _why(advice([5.0] * 120), "replicas")
    assert "gaps" in _why(advice([5.0, None] * 300), "replicas")


def _why(found: Advice, kind: str) -> str:
    return next(one.reason for one in found.unknown if one.type == kind)


def test_hidden_demand_is_only_a_floor() -> None:
    found = advice([190.0] * 240, Facts(cores=2.0, slots=1), cores_busy=1.99)
    workers = found.of("workers")
    assert workers is not None
    assert "at least" in workers.title
    assert workers.confidence == "low"
    assert "more demand than was seen" in workers.description


def test_failures_make_the_cost_of_a_request_doubtful() -> None:
    workers = advice([60.0] * 240, Facts(cores=2.0, slots=1), error_share=0.2).of("workers")
    assert workers is not None
    assert workers.confidence == "low"
    assert "20% of the answers were failures" in workers.description


def test_a_load_beyond_one_replica_is_replayed() -> None:
    load = [60.0 * value for value in daily(2.2)]
    found = advice(list(load), Facts(cores=2.0))
    replicas = found.of("replicas")
    assert replicas is not None
    assert found.grade == "B"
    assert replicas.confidence in {"medium", "low"}
    assert (replicas.value or 0) >= load[-1] / 200
    assert next(row["policy"] for row in found.policies) == "1 replica, as now"
    assert len(found.policies) == 5
    if found.hpa is not None:
        assert "autoscaling/v2" in found.hpa


def test_a_small_load_needs_one_replica() -> None:
    replicas = advice([5.0] * 300).of("replicas")
    assert replicas is not None
    assert replicas.value == 1
    assert replicas.title == "One replica is enough"


def test_a_time_out_needs_two_thousand_requests() -> None:
    enough = Facts(cores=2.0, buckets=(1000, 1900, 98, 2, 0), bounds_seconds=BOUNDS)
    timeout = advice([5.0] * 100, enough).of("timeout")
    assert timeout is not None
    assert timeout.value == 1.0
    few = Facts(cores=2.0, buckets=(1000, 500, 0, 0, 0), bounds_seconds=BOUNDS)
    assert "needs 500 more requests" in [one.needs for one in advice([5.0] * 100, few).unknown]
    slow = Facts(cores=2.0, buckets=(1000, 1900, 0, 0, 50), bounds_seconds=BOUNDS)
    assert "longer than 1 s" in _why(advice([5.0] * 100, slow), "timeout")


def test_without_a_supervisor_the_cache_has_no_evidence_and_says_so() -> None:
    assert "no supervisor" in _why(advice([5.0] * 100), "cache")


def test_everything_is_json_and_the_configuration_agrees_with_the_recommendations() -> None:
    found = advice([60.0] * DAY, Facts(cores=2.0, slots=1))
    document = json.loads(json.dumps(found.as_dict()))
    for one in document["recommendations"]:
        assert {"type", "priority", "title", "description", "action", "estimated_impact"} <= one.keys()
        assert {"complexity", "confidence", "evidence"} <= one.keys()
        assert all(not isinstance(v, float) or math.isfinite(v) for v in one["evidence"]["numbers"].values())
    configuration = found.configuration()
    workers = found.of("workers")
    assert workers is not None
    assert configuration["workers"] == workers.value
    assert configuration["cache"] is None


def test_without_any_history_nothing_is_guessed(tmp_path) -> None:  # type: ignore[no-untyped-def]
    engine = ScalingEngine(tmp_path)
    assert engine.get_scaling_recommendations() == []
    configuration = engine.get_optimal_configuration()
    assert configuration["workers"] is None
    assert "nothing was ever measured" in configuration["unknown"][0]["reason"]


def test_a_history_on_disk_is_read(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from oatie_ops.performance.samples import Samples, samples_path
    from oatie_ops.scaling.engine import advise

    start = 1_700_000_000 // 3600 * 3600
    columns = minutes([20.0] * 70, start=start)
    samples = Samples(samples_path(tmp_path))
    for second in range(0, 70 * 60, 2):
        values = {name: history.means[second // 60] for name, history in columns.items() if history.counts[0]}
        samples.add(start + second, values)
    samples.flush()
    samples.close()
    found = advise(tmp_path, Facts(cores=2.0), now=lambda: start + 70 * 60.0)
    workers = found.of("workers")
    assert workers is not None
    assert workers.evidence.numbers["cpu_seconds_per_request"] == pytest.approx(0.01, rel=0.01)
