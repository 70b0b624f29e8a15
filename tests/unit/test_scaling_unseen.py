"""The advice on loads that it was not made on: the promises hold in the mean, whatever they look like."""

from __future__ import annotations

from statistics import fmean, geometric_mean

import pytest

from oatie_ops.scaling import policies
from oatie_ops.scaling.advisor import advise
from oatie_ops.scaling.backtest import Score, default_capacity, score
from oatie_ops.scaling.setup import Setup
from tests.unit.scaling_loads import DAY, bursty, crowds, daily, hourly, ramp, stepped, wandering

SETUP = Setup()
DAYS, WARMUP = 6, 2 * DAY
LOADS = {
    "daily": daily(DAYS, 11),
    "noisy": daily(DAYS, 12, noise=0.2),
    "bursty": bursty(DAYS, 13),
    "stepped": stepped(DAYS, 14),
    "ramp": ramp(DAYS, 15),
    "crowds": crowds(DAYS, 16),
    "hourly": hourly(DAYS, 17),
    "wandering": wandering(DAYS, 18),
    "pieces": daily(DAYS / 2, 19) + bursty(DAYS / 2, 20),
    "backwards": crowds(DAYS, 21)[::-1],
}


@pytest.mark.slow
def test_the_budget_holds_in_the_mean_at_less_than_the_tuned_hpa_costs() -> None:
    ours: list[Score] = []
    tuned: list[Score] = []
    for load in LOADS.values():
        capacity = default_capacity(load)
        demand = [value / capacity for value in load]
        ours.append(score("ours", demand, advise(demand, SETUP), SETUP, WARMUP))
        tuned.append(score("tuned", demand, policies.hpa_retuned(demand, SETUP), SETUP, WARMUP))
    shown = {name: (one.cost, one.violations, one.lost) for name, one in zip(LOADS, ours, strict=True)}
    assert fmean(one.violations for one in ours) <= 0.007, shown
    assert fmean(one.lost for one in ours) <= 0.014, shown
    assert geometric_mean([one.cost for one in ours]) <= 1.87, shown
    cheaper = [mine.cost / other.cost for mine, other in zip(ours, tuned, strict=True)]
    assert geometric_mean(cheaper) < 1.0, dict(zip(LOADS, cheaper, strict=True))


def test_the_size_of_a_request_changes_nothing() -> None:
    load = daily(1.5, 22)
    costs = []
    for factor in (1.0, 0.01, 100.0):
        scaled = [factor * value for value in load]
        capacity = default_capacity(scaled)
        demand = [value / capacity for value in scaled]
        costs.append(score("ours", demand, advise(demand, SETUP), SETUP, DAY // 2).cost)
    assert costs == pytest.approx([costs[0]] * 3, rel=0.01)
