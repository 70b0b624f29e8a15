"""The policies that the advisor chooses among: each lives through the whole history on its own lane."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from oatie_ops.scaling.forecast import Forecast
from oatie_ops.scaling.hpa import Hpa
from oatie_ops.scaling.residuals import Residuals
from oatie_ops.scaling.setup import KNEE, Lane, Setup

# What one violated step costs, in replica-steps: from "hardly anything" to "never again".
PRICES = tuple(8.0 * 1.6**i for i in range(18))
HPA_TARGETS = tuple(percent / 100 for percent in range(30, 91, 5))
RISK_BELOW_SCALES, RISK_ABOVE_SCALES = 1.5, 40.0
FINE_ROWS, MOST_ROWS = 20, 400
NEGLIGIBLE_RISK = 5e-5


@dataclass(frozen=True)
class Risks:
    """``chance[i]``: the probability that ``replicas[i]`` of them are too few when they serve."""

    replicas: list[int]
    chance: list[float]

    def of(self, replicas: int) -> float:
        """That of any number; beyond the table the last row's."""
        index = replicas - self.replicas[0]
        if index < 0:
            return 1.0
        if index < len(self.replicas) and self.replicas[index] == replicas:
            return self.chance[index]
        return self.chance[-1]


def risks(forecast: Forecast, residuals: Residuals, most: int) -> Risks:
    """From the fewest that could do to those that surely do, but not beyond ``most``."""
    mean, scale = forecast.mean, forecast.scale
    lowest = max(1, math.ceil((mean - RISK_BELOW_SCALES * scale) / KNEE))
    highest = min(lowest + MOST_ROWS, max(lowest, math.ceil((mean + RISK_ABOVE_SCALES * scale) / KNEE)))
    rows: list[int] = []
    chance: list[float] = []
    replicas = lowest
    while replicas <= highest and (not rows or replicas <= most):
        risk = residuals.exceed((KNEE * replicas - mean) / scale)
        rows.append(replicas)
        chance.append(risk)
        if risk < NEGLIGIBLE_RISK:
            break
        done = replicas - lowest
        replicas += 1 if done < FINE_ROWS else max(1, done // 10)
    return Risks(rows, chance)


class Fading:
    """Sums with a half-life: what counts is the last week."""

    __slots__ = ("cost", "expected", "violated", "weight")

    def __init__(self) -> None:
        self.weight = self.violated = self.expected = self.cost = 0.0

    def add(self, fade: float, *, violated: bool, chance: float, cost: int) -> None:
        self.weight = self.weight * fade + 1.0
        self.violated = self.violated * fade + violated
        self.expected = self.expected * fade + chance
        self.cost = self.cost * fade + cost

    def rate(self, model_steps: float) -> float:
        """Of violations: what happened, and ``model_steps`` steps of what the forecast expected.

        A few hours hold no violation, or one, by chance; the expectation keeps the estimate sane until
        enough has happened.
        """
        if self.weight == 0.0:
            return 0.0
        expected = model_steps * self.expected / self.weight
        return (self.violated + expected) / (self.weight + model_steps)


class Priced:
    """Weighs replicas against the risk: the least of ``replicas + price * chance``.

    The price plays the part of a Lagrange multiplier: at one price the marginal replica buys the same
    relief at every moment, which spends a budget of violations where replicas are dear.
    Down only to the most that the last 300 s asked for.
    """

    def __init__(self, setup: Setup, price: float) -> None:
        self.price = price
        self.lane = Lane(setup)
        self.score = Fading()
        self._wanted: deque[tuple[int, int]] = deque()  # (step, replicas), falling: a sliding maximum

    @property
    def name(self) -> str:
        return f"calibrated quantile, violation priced at {self.price:.0f} replica-steps"

    def decide(self, step: int, best: int, forecast: Forecast) -> int:
        """``best`` of the risks alone; what waits on this lane comes on top."""
        lane = self.lane
        if lane.backlog > 0:
            best = max(best, math.ceil((forecast.mean + lane.backlog + forecast.scale) / KNEE))
        best = lane.setup.bounded(best)
        wanted = self._wanted
        while wanted and wanted[-1][1] <= best:
            wanted.pop()
        wanted.append((step, best))
        if wanted[0][0] <= step - lane.setup.hold_steps:
            wanted.popleft()
        if best < lane.wanted:
            best = min(lane.wanted, wanted[0][1])
        lane.decide(best)
        return best


class Flat:
    """The number that would have been enough all but ``share`` of the time; for load without a pattern."""

    def __init__(self, setup: Setup, share: float) -> None:
        self.share = share
        self.lane = Lane(setup)
        self.score = Fading()
        self.level = 1

    @property
    def name(self) -> str:
        return f"constant at the {1 - self.share:.2%} quantile"

    def decide(self, least: int) -> int:
        replicas = self.lane.setup.bounded(max(self.level, least))
        self.lane.decide(replicas)
        return replicas


class ScoredHpa(Hpa):
    def __init__(self, setup: Setup, target: float) -> None:
        super().__init__(setup, target)
        self.score = Fading()


class Levels:
    """The distribution of demand itself, in bins that grow by 5 %, with a half-life in steps."""

    GROWTH = math.log(1.05)

    def __init__(self, half_life: float) -> None:
        self._counts: dict[int, float] = {}
        self._weight = 1.0
        self._growth = 0.5 ** (-1.0 / half_life)

    def add(self, demand: float) -> None:
        index = math.ceil(math.log(max(demand, 1e-3)) / self.GROWTH)
        self._counts[index] = self._counts.get(index, 0.0) + self._weight
        self._weight *= self._growth
        if self._weight > 1e100:
            self._counts = {key: count / self._weight for key, count in self._counts.items()}
            self._weight = 1.0

    def exceeded(self, share: float) -> float:
        """The demand that is exceeded for this share of the time, to within 5 % upwards."""
        left = share * sum(self._counts.values())
        for index in sorted(self._counts, reverse=True):
            left -= self._counts[index]
            if left <= 0:
                return math.exp(index * self.GROWTH)
        return 0.0
