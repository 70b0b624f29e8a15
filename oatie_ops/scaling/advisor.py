"""How many replicas: candidate policies live through the history; the cheapest that kept the budget decides.

Everything here is fed one step at a time and knows nothing that comes later, so that the decisions for the
beginning of a history are the beginning of the decisions.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from oatie_ops.scaling.candidates import (
    HPA_TARGETS,
    PRICES,
    Flat,
    Levels,
    Priced,
    Risks,
    ScoredHpa,
    risks,
)
from oatie_ops.scaling.forecast import Forecast, Forecaster
from oatie_ops.scaling.residuals import Residuals
from oatie_ops.scaling.setup import DAY_SECONDS, KNEE, WEEK_SECONDS, Lane, Setup, needed

ERROR_HALF_LIFE_SECONDS = 3 * DAY_SECONDS
SCORE_HALF_LIFE_SECONDS = 0.7 * WEEK_SECONDS
CHOOSE_SECONDS = 600.0
FIRST_CHOICE_SECONDS = 3 * 3600.0
FIRST_PRICE = len(PRICES) // 2
# So many steps of what the forecast expects are mixed into what happened.
MODEL_STEPS = 1000.0
# Beyond the busiest step of a week only a forecast that is itself that high asks for more.
CEILING_SCALES = 3.0
CEILING_KNOWN_SECONDS = 3600.0
# A past above or below the budget is made good within these bounds.
PACE_LOW, PACE_HIGH = 0.3, 1.5

Candidate = Priced | Flat | ScoredHpa


class Advisor:
    """``observe`` takes the demand of a step (``None``: not measured) and returns the replicas to ask for."""

    def __init__(self, setup: Setup, *, flat: bool = True, hpa: bool = True) -> None:
        self.setup = setup
        self.lane = Lane(setup)
        self._forecaster = Forecaster(setup)
        self._residuals = Residuals(setup.steps(ERROR_HALF_LIFE_SECONDS))
        self._levels = Levels(setup.steps(WEEK_SECONDS))
        self._priced = [Priced(setup, price) for price in PRICES]
        shares = (setup.budget, setup.budget / 2) if flat else ()
        self._flat = [Flat(setup, share) for share in shares]
        self._hpa = [ScoredHpa(setup, target) for target in HPA_TARGETS] if hpa else []
        self.candidates: list[Candidate] = [*self._priced, *self._flat, *self._hpa]
        self.chosen: Candidate = self._priced[FIRST_PRICE]
        self._fade = 0.5 ** (1.0 / setup.steps(SCORE_HALF_LIFE_SECONDS))
        self._busiest: deque[tuple[int, float]] = deque()  # (step, demand), falling: a sliding maximum
        self._own_violated = self._own_weight = 0.0
        self._step = -1
        self._choose_steps = setup.steps(CHOOSE_SECONDS)
        self._week_steps = setup.steps(WEEK_SECONDS)
        self._ceiling_known_step = setup.steps(CEILING_KNOWN_SECONDS)
        self._first_choice_step = setup.steps(FIRST_CHOICE_SECONDS)
        self._paced_after_steps = setup.steps(DAY_SECONDS)

    def observe(self, demand: float | None) -> int:
        self._step += 1
        forecast = self._forecaster.observe(demand)
        if demand is None or forecast is None:
            return self._hold()
        if self._own_weight == 0.0:
            for lane in (self.lane, *(candidate.lane for candidate in self.candidates)):
                lane.begin(self.setup.bounded(needed(demand)))
        self._account(demand)
        if forecast.scaled_error is not None:
            self._residuals.add(forecast.scaled_error)
        self._levels.add(demand)
        table = risks(forecast, self._residuals, self._ceiling(demand, forecast))
        self._decide(demand, forecast, table)
        if self._step % self._choose_steps == 0:
            self._choose()
        wanted = self.chosen.lane.wanted
        self.lane.decide(wanted)
        return wanted

    def _hold(self) -> int:
        for candidate in self.candidates:
            candidate.lane.decide(candidate.lane.wanted)
        self.lane.decide(self.lane.wanted)
        return self.lane.wanted

    def _account(self, demand: float) -> None:
        for candidate in self._priced:
            candidate.lane.serve(demand)
        for flat in self._flat:
            flat.lane.serve(demand)
        self.lane.serve(demand)
        self._own_violated = self._own_violated * self._fade + self.lane.violated
        self._own_weight = self._own_weight * self._fade + 1.0

    def _ceiling(self, demand: float, forecast: Forecast) -> int:
        busiest = self._busiest
        while busiest and busiest[-1][1] <= demand:
            busiest.pop()
        busiest.append((self._step, demand))
        if busiest[0][0] <= self._step - self._week_steps:
            busiest.popleft()
        if self._step <= self._ceiling_known_step:
            return self.setup.max_replicas
        expected = forecast.mean + CEILING_SCALES * forecast.scale
        return max(needed(busiest[0][1]), math.ceil(expected / KNEE))

    def _decide(self, demand: float, forecast: Forecast, table: Risks) -> None:
        rows, chance, fade = table.replicas, table.chance, self._fade
        start, count, now = 0, len(rows), needed(demand)
        for priced in self._priced:
            # The higher the price, the more replicas: the search goes on where the last one ended.
            price, least = priced.price, math.inf
            for index in range(start, count):
                if rows[index] >= least:
                    break
                total = rows[index] + price * chance[index]
                if total < least:
                    least, start = total, index
            lane = priced.lane
            cost, violated = lane.wanted, lane.violated
            best = rows[start]
            wanted = priced.decide(self._step, best if best > now else now, forecast)
            priced.score.add(fade, violated=violated, chance=table.of(wanted), cost=cost)
        for flat in self._flat:
            cost, violated = flat.lane.wanted, flat.lane.violated
            wanted = flat.decide(now)
            flat.score.add(fade, violated=violated, chance=table.of(wanted), cost=cost)
        for hpa in self._hpa:
            cost = hpa.lane.wanted
            wanted = hpa.observe(demand)
            hpa.score.add(fade, violated=hpa.lane.violated, chance=table.of(wanted), cost=cost)

    def _choose(self) -> None:
        for flat in self._flat:
            flat.level = needed(self._levels.exceeded(flat.share))
        if self._step <= self._first_choice_step:
            return
        allowed = self._paced_budget()

        def dear(candidate: Candidate) -> float:
            over = max(1.0, candidate.score.rate(MODEL_STEPS) / allowed)
            return candidate.score.cost * over

        # Twice the allowed violations weigh as much as twice the cost: where nobody keeps the budget, or
        # keeping it by a hair would cost a multiple, the advice stays sane.
        self.chosen = min(self.candidates, key=dear)

    def _paced_budget(self) -> float:
        budget = self.setup.budget
        if self._step < self._paced_after_steps:
            return budget
        spent = self._own_violated / self._own_weight
        return min(PACE_HIGH * budget, max(PACE_LOW * budget, 2 * budget - spent))


def advise(demand: Sequence[float | None], setup: Setup) -> list[int]:
    """The decision at the end of every step. Causal: `advise(d)[:n] == advise(d[:n])`."""
    advisor = Advisor(setup)
    return [advisor.observe(value) for value in demand]
