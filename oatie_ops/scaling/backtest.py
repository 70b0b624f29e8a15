"""Replays a load against the usual policies and our advice, and says what each would have cost.

Cost is relative to a clairvoyant that has exactly the replicas needed in each step (at least one); nobody
who cannot see the future reaches 1.0. Steps in gaps and in the warm-up are not scored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.scaling import policies
from oatie_ops.scaling.advisor import Advisor
from oatie_ops.scaling.setup import DAY_SECONDS, KNEE, Lane, Setup, needed
from oatie_ops.scaling.trace import quantile

FEWEST_STEPS = 60
SHORTEST_SECONDS = 3 * 3600.0
WORST = 3
REPLICAS_AT_P99 = 12
MOST_GAPS = 0.2
OURS = "oatie advice"
RETUNED = "HPA re-tuned daily"


class NotEnough(OatieError):
    """Too little is known to say anything; the reason says what is lacking."""

    exit_code = ExitCode.DEGRADED


@dataclass(frozen=True)
class Score:
    """``cost``: replica-steps over the clairvoyant's. ``violations``: share of steps, ``lost``: of demand."""

    policy: str
    cost: float
    violations: float
    violated_steps: int
    lost: float
    actions_per_day: float
    mean_replicas: float
    within_budget: bool
    interval: tuple[float, float]  # of the rate of violations, 95 %, after Wilson


@dataclass(frozen=True)
class Replay:
    """One policy: what it decided at the end of each step, and how that went."""

    score: Score
    decisions: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True)
class Backtest:
    """``worst``: steps and by how much our advice was short there, in replicas."""

    setup: Setup
    demand: tuple[float | None, ...]
    warmup_steps: int
    clairvoyant_replica_steps: int
    replays: tuple[Replay, ...]
    worst: tuple[tuple[int, float], ...]
    gap_steps: int
    surprises: float  # share of our violations that were jumps within the start-up time
    notes: tuple[str, ...] = field(default=())

    @property
    def ours(self) -> Replay:
        return next(replay for replay in self.replays if replay.score.policy == OURS)


def default_warmup_seconds(seconds: float) -> float:
    """An eighth of a day for a day, up to two weeks for two months; never more than half of the trace."""
    for longer_than_days, days in ((70, 14.0), (21, 7.0), (7, 4.0), (3, 1.0)):
        if seconds > longer_than_days * DAY_SECONDS:
            return days * DAY_SECONDS
    return min(0.125 * DAY_SECONDS, seconds / 2)


def default_capacity(load: Sequence[float | None]) -> float:
    """The load of one replica that makes the 99th percentile of the steps twelve of them."""
    return quantile(policies.known(load), 0.99) / REPLICAS_AT_P99


def check_enough(load: Sequence[float | None], setup: Setup, warmup_steps: int) -> None:
    """Raises `NotEnough`."""
    seconds = len(load) * setup.step_seconds
    lacking = max(FEWEST_STEPS * setup.step_seconds, SHORTEST_SECONDS) - seconds
    if lacking > 0:
        raise NotEnough(
            "the trace is too short to judge a policy by",
            why=f"{len(load)} steps of {setup.step_seconds:g} s are {seconds / 60:.0f} minutes",
            fix=f"record {math.ceil(lacking / 60)} more minutes (3 hours and {FEWEST_STEPS} steps at least)",
        )
    if warmup_steps >= len(load):
        raise NotEnough(
            "nothing is left to score",
            why=f"the warm-up of {warmup_steps} steps covers the whole trace of {len(load)}",
            fix="give a shorter --warmup",
        )
    gaps = sum(value is None for value in load)
    if gaps > MOST_GAPS * len(load):
        raise NotEnough(
            "the trace has too many gaps",
            why=f"{gaps / len(load):.0%} of its steps were not measured; at most {MOST_GAPS:.0%} may be",
        )
    if not any(value for value in load):
        raise NotEnough("the load is nought all the time", why="any policy keeps one replica")


def backtest(
    demand: Sequence[float | None],
    setup: Setup,
    warmup_steps: int,
    progress: Callable[[str], None] = lambda _policy: None,
) -> Backtest:
    """``demand`` in replicas, one value per step. Raises `NotEnough`."""
    check_enough(demand, setup, warmup_steps)
    advisor = Advisor(setup)
    progress(OURS)
    ours = [advisor.observe(value) for value in demand]
    rules: list[tuple[str, Callable[[], list[int]]]] = [
        ("static peak", lambda: policies.static_peak(demand, warmup_steps, setup)),
        ("static p95 + 15 %", lambda: policies.static_p95(demand, warmup_steps, setup)),
        ("VPA-style p90 + 15 %", lambda: policies.vpa_style(demand, warmup_steps, setup)),
        ("HPA cpu 80 % (default)", lambda: policies.hpa(demand, setup, 0.8, "cpu")[0]),
        ("HPA cpu 50 %", lambda: policies.hpa(demand, setup, 0.5, "cpu")[0]),
        ("HPA rps 70 %", lambda: policies.hpa(demand, setup, 0.7, "rps")[0]),
        (RETUNED, lambda: policies.hpa_retuned(demand, setup)),
    ]
    least = sum(needed(value) for value in demand[warmup_steps:] if value is not None)
    replays = []
    for name, decide in rules:
        progress(name)
        decisions = decide()
        replays.append(Replay(score(name, demand, decisions, setup, warmup_steps), tuple(decisions)))
    note = f"at the end: {advisor.chosen.name}"
    replays.append(Replay(score(OURS, demand, ours, setup, warmup_steps), tuple(ours), note))
    shortfalls = _shortfalls(demand, ours, setup, warmup_steps)
    jumps = sum(_is_jump(demand, step, setup) for step, _ in shortfalls)
    return Backtest(
        setup=setup,
        demand=tuple(demand),
        warmup_steps=warmup_steps,
        clairvoyant_replica_steps=least,
        replays=tuple(replays),
        worst=tuple(sorted(shortfalls, key=lambda pair: -pair[1])[:WORST]),
        gap_steps=sum(value is None for value in demand),
        surprises=jumps / len(shortfalls) if shortfalls else 0.0,
    )


def score(
    name: str, demand: Sequence[float | None], decisions: Sequence[int], setup: Setup, warmup_steps: int
) -> Score:
    """How the decisions went, after the warm-up."""
    lane = Lane(setup)
    paid = violated = actions = steps = least = 0
    lost = arrived = 0.0
    for step, value in enumerate(demand):
        before = lane.wanted
        if value is not None:
            lane.serve(value)
        lane.decide(decisions[step])
        if value is None or step < warmup_steps:
            continue
        steps += 1
        paid += before
        least += needed(value)
        violated += lane.violated
        lost += lane.lost
        arrived += value
        actions += lane.wanted != before
    rate = violated / max(1, steps)
    return Score(
        policy=name,
        cost=paid / max(1, least),
        violations=rate,
        violated_steps=violated,
        lost=lost / arrived if arrived else 0.0,
        actions_per_day=actions / (max(1, steps) * setup.step_seconds) * DAY_SECONDS,
        mean_replicas=paid / max(1, steps),
        within_budget=rate <= setup.budget,
        interval=wilson(violated, steps),
    )


def _shortfalls(
    demand: Sequence[float | None], decisions: Sequence[int], setup: Setup, warmup_steps: int
) -> list[tuple[int, float]]:
    lane = Lane(setup)
    short = []
    for step, value in enumerate(demand):
        if value is not None:
            waiting = lane.backlog
            ready = lane.serve(value)
            if lane.violated and step >= warmup_steps:
                short.append((step, (value + waiting) / KNEE - ready))
        lane.decide(decisions[step])
    return short


def _is_jump(demand: Sequence[float | None], step: int, setup: Setup) -> bool:
    """More than half as much again as anything in the hour that a decision could still have seen."""
    seen = policies.known(demand[max(0, step - setup.steps(3600)) : max(1, step - setup.startup_steps)])
    value = demand[step]
    return value is not None and value > 1.5 * max(seen)


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a rate (Wilson 1927)."""
    if trials == 0:
        return 0.0, 1.0
    z = 1.96
    rate, scale = hits / trials, 1 + z * z / trials
    middle = (rate + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)
