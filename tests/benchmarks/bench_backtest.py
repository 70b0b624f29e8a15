"""Scaling advice against the usual autoscalers, replayed on loads: of ``--traces DIR``, else made ones.

A policy that is cheaper may be so because it leaves users waiting: cost, violations and lost demand are to be
read together. Costs are relative to a clairvoyant's.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, geometric_mean

from oatie_ops.scaling.backtest import OURS as ADVICE
from oatie_ops.scaling.backtest import Score, backtest, default_capacity, default_warmup_seconds
from oatie_ops.scaling.setup import DAY_SECONDS, Setup
from oatie_ops.scaling.trace import read_trace, steps_of
from tests.benchmarks.report import OURS, Figure, Options, Report

SETUP = Setup()
MADE_DAYS = 4
QUICK_DAYS = 7
LEAST_LEVEL = 1.0
Load = list[float | None]


def run(options: Options) -> Report:
    loads = {"steady days": made(1, bursts=False), "bursts": made(2, bursts=True)}
    if options.traces is not None:
        loads = recorded(options.traces)
    if options.quick:
        most = SETUP.steps(QUICK_DAYS * DAY_SECONDS)
        loads = {name: load[:most] for name, load in loads.items()}
    scores = [_scores(load) for load in loads.values()]
    kind = "made" if options.traces is None else "recorded"
    return Report("scaling", f"Scaling advice on {len(loads)} {kind} loads", tuple(_figures(scores)))


def recorded(directory: Path) -> dict[str, Load]:
    files = sorted(directory.glob("*.csv"))
    if not files:
        raise SystemExit(f"no trace (*.csv) in {directory}")
    return {file.stem: steps_of(read_trace(file), SETUP.step_seconds) for file in files}


def made(seed: int, *, bursts: bool) -> Load:
    """Days of a site: low at night, busy in the afternoon, noisy; some minutes an hour at thrice the load."""
    chance = random.Random(seed)
    load: Load = []
    for step in range(SETUP.steps(MADE_DAYS * DAY_SECONDS)):
        day = step * SETUP.step_seconds / DAY_SECONDS
        level = 600 - 450 * math.cos(2 * math.pi * day)
        if bursts and step % 60 < 3 and chance.random() < 0.5:
            level *= 3
        load.append(max(LEAST_LEVEL, chance.gauss(level, 0.08 * level)))
    return load


def _scores(load: Load) -> dict[str, Score]:
    capacity = default_capacity(load)
    demand = [None if value is None else value / capacity for value in load]
    warmup = default_warmup_seconds(len(load) * SETUP.step_seconds)
    result = backtest(demand, SETUP, int(warmup / SETUP.step_seconds))
    return {OURS if r.score.policy == ADVICE else r.score.policy: r.score for r in result.replays}


def _figures(scores: Sequence[Mapping[str, Score]]) -> Iterator[Figure]:
    policies = list(scores[0])
    for name in policies:
        cost = geometric_mean([of[name].cost for of in scores])
        kept = sum(of[name].within_budget for of in scores)
        note = f"kept {SETUP.budget:.1%} on {kept} of {len(scores)}"
        yield Figure("replicas", name, cost, "x the clairvoyant's cost", note=note)
    for name in policies:
        violations = fmean([of[name].violations for of in scores]) * 100
        yield Figure("overloaded minutes", name, violations, "% of all")
    for name in policies:
        yield Figure("lost demand", name, fmean([of[name].lost for of in scores]) * 100, "% of all")
