"""What others would have done: the usual rules that our advice is measured against.

Every policy gives the decision at the end of each step. Static rules are set at the end of the warm-up from
what it held; while it lasts they ask for what is needed (that part is not scored).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from oatie_ops.scaling.candidates import HPA_TARGETS
from oatie_ops.scaling.hpa import Hpa
from oatie_ops.scaling.setup import DAY_SECONDS, KNEE, ROUNDING, WEEK_SECONDS, Setup
from oatie_ops.scaling.trace import quantile

Demand = Sequence[float | None]
VPA_HALF_LIFE_SECONDS = DAY_SECONDS
VPA_BIN = 1.05
VPA_QUANTILE, VPA_MARGIN = 0.9, 1.15
FIRST_TARGET = 0.5


def static_peak(demand: Demand, warmup: int, setup: Setup) -> list[int]:
    """The peak of the warm-up, below the knee."""
    return [setup.bounded(math.ceil(max(known(demand[:warmup])) / KNEE - ROUNDING))] * len(demand)


def static_p95(demand: Demand, warmup: int, setup: Setup) -> list[int]:
    """The 95th percentile of the warm-up and 15 % headroom."""
    level = quantile(known(demand[:warmup]), 0.95) * 1.15
    return [setup.bounded(math.ceil(level - ROUNDING))] * len(demand)


def vpa_style(demand: Demand, warmup: int, setup: Setup) -> list[int]:
    """The recommender of the Vertical Pod Autoscaler applied to the whole service, renewed once a day.

    90th percentile of a histogram with bins that grow by 5 % and a half-life of 24 h, times 1.15.
    """
    day = setup.steps(DAY_SECONDS)
    growth = 0.5 ** (-setup.step_seconds / VPA_HALF_LIFE_SECONDS)
    counts: dict[int, float] = {}
    weight, replicas, decisions = 1.0, setup.bounded(1), []
    for step, value in enumerate(demand):
        if value is not None:
            index = math.floor(math.log(max(value, 0.01)) / math.log(VPA_BIN))
            counts[index] = counts.get(index, 0.0) + weight
        weight *= growth
        if weight > 1e100:
            counts = {key: count / weight for key, count in counts.items()}
            weight = 1.0
        if counts and step + 1 >= warmup and (step + 1 - warmup) % day == 0:
            replicas = setup.bounded(math.ceil(_percentile(counts) * VPA_MARGIN - ROUNDING))
        decisions.append(replicas)
    return decisions


def _percentile(counts: dict[int, float]) -> float:
    left = (1 - VPA_QUANTILE) * sum(counts.values())
    for index in sorted(counts, reverse=True):
        left -= counts[index]
        if left <= 0:
            break
    return float(VPA_BIN ** (index + 0.5))


def hpa(demand: Demand, setup: Setup, target: float, metric: str) -> tuple[list[int], list[bool]]:
    """The decisions, and for each step whether it was violated."""
    policy = Hpa(setup, target, metric)
    decisions, violated = [], []
    for value in demand:
        if value is None:
            policy.hold()
            violated.append(False)
        else:
            policy.observe(value)
            violated.append(policy.lane.violated)
        decisions.append(policy.lane.wanted)
    return decisions, violated


def hpa_retuned(demand: Demand, setup: Setup) -> list[int]:
    """The target chosen anew each day: the cheapest that kept the budget over the last seven days."""
    replays = [hpa(demand, setup, target, "rps") for target in HPA_TARGETS]
    spent = [[0, *accumulate(violated)] for _, violated in replays]
    paid = [[0, *accumulate(decisions)] for decisions, _ in replays]
    day, week = setup.steps(DAY_SECONDS), setup.steps(WEEK_SECONDS)
    chosen, decisions = HPA_TARGETS.index(FIRST_TARGET), []
    for step in range(len(demand)):
        if step and step % day == 0:
            since = max(0, step - week)
            spends = [total[step] - total[since] for total in spent]
            pays = [total[step] - total[since] for total in paid]
            order = sorted(range(len(replays)), key=lambda i: (spends[i], pays[i]))
            kept = [i for i in order if spends[i] <= setup.budget * (step - since)]
            chosen = min(kept, key=lambda i: pays[i]) if kept else order[0]
        decisions.append(replays[chosen][0][step])
    return decisions


def known(demand: Demand) -> list[float]:
    """What was measured; a single nought where nothing was."""
    return [value for value in demand if value is not None] or [0.0]
