"""What the demand will be when a replica that is asked for now serves, and how wrong that may be.

Eight simple experts forecast; each is weighed by its recent squared error to the minus fourth power (best
squared error over its own, in [0, 1]), so that the best has nearly all of it and a change of the best is
followed within hours. Errors count at most eight times the expected scale: one outlier owns neither the
weights nor the scale. Where the errors of the last minutes are far below the scale, as after a load that
vanished, they cap it.

Seasonal experts say: the present level, times what happened at this phase before.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from oatie_ops.scaling.setup import DAY_SECONDS, WEEK_SECONDS, Setup

SCALE_HALF_LIFE_SECONDS = 45 * 60
RECENT_HALF_LIFE_SECONDS = 10 * 60
MOST_RECENT_ERRORS = 3.0  # as scale, in mean recent errors: noise alone hardly ever reaches that
SKILL_HALF_LIFE_SECONDS = 6 * 3600
LEVEL_SECONDS = 600
SMOOTH_SECONDS = 420  # on each side: load that comes back a few minutes early or late is the same load
SHARPNESS = 4.0
OUTLIER_SCALES = 8.0
FLOOR_SHARE = 0.02  # no forecast is trusted to be better than this share of the level
FLOOR = 1e-3
PROVEN = 120  # scored forecasts before an expert is listened to
CAREFUL = 200  # steps without any expert: the last value
RATIO_LOW, RATIO_HIGH = 0.2, 6.0
DAYS_BACK, DAY_FADE = 7, 0.7
EXPERTS = 8


@dataclass(frozen=True)
class Forecast:
    """``scaled_error`` is that of the forecast that came due now, in scales; None: none came due."""

    mean: float
    scale: float
    scaled_error: float | None


@dataclass
class _Due:
    expert_forecasts: list[float | None]
    mean: float
    scale: float


def _rate(half_life_steps: float) -> float:
    return 1.0 - math.pow(0.5, 1.0 / half_life_steps)


class Forecaster:
    """Fed with the demand of one step after the other; ``None`` for a step that was not measured."""

    def __init__(self, setup: Setup) -> None:
        self._horizon = setup.horizon
        self._day = setup.steps(DAY_SECONDS)
        self._week = setup.steps(WEEK_SECONDS)
        self._hour = setup.steps(3600)
        self._level_steps = setup.steps(LEVEL_SECONDS)
        self._smooth_steps = setup.steps(SMOOTH_SECONDS)
        self._scale_rate = _rate(setup.steps(SCALE_HALF_LIFE_SECONDS))
        self._recent_rate = _rate(setup.steps(RECENT_HALF_LIFE_SECONDS))
        self._skill_rate = _rate(setup.steps(SKILL_HALF_LIFE_SECONDS))
        self._fast_rate, self._slow_rate, self._slowest_rate = _rate(0.5), _rate(4.0), _rate(30.0)
        self._sums = [0.0]  # of the demand up to each step
        self._fast = self._slow = self._slowest = self._previous = 0.0
        self._scale = self._recent_error = 0.1
        self._errors = [1e-4] * EXPERTS
        self._scored = [0] * EXPERTS
        self._due: deque[_Due | None] = deque()

    @property
    def steps(self) -> int:
        return len(self._sums) - 1

    def observe(self, demand: float | None) -> Forecast | None:
        """None where this step was not measured."""
        due = self._due.popleft() if len(self._due) >= self._horizon else None
        if demand is None:
            self._sums.append(self._sums[-1] + self._slow)
            self._due.append(None)
            return None
        if self.steps == 0:
            self._start(demand)
        scaled_error = None
        if due is not None:
            self._score(due, demand)
            scaled_error = (demand - due.mean) / due.scale
        self._sums.append(self._sums[-1] + demand)
        self._fast += self._fast_rate * (demand - self._fast)
        self._slow += self._slow_rate * (demand - self._slow)
        self._slowest += self._slowest_rate * (demand - self._slowest)
        forecasts = self._ask(demand)
        mean = max(0.0, self._blend(forecasts, demand))
        self._previous = demand
        capped = min(self._scale, MOST_RECENT_ERRORS * self._recent_error)
        scale = max(capped, FLOOR_SHARE * max(mean, self._slow), FLOOR)
        self._due.append(_Due(forecasts, mean, scale))
        return Forecast(mean, scale, scaled_error)

    def _start(self, demand: float) -> None:
        self._fast = self._slow = self._slowest = self._previous = demand
        self._scale = self._recent_error = max(0.1, 0.1 * demand)

    def _score(self, due: _Due, demand: float) -> None:
        limit = OUTLIER_SCALES * due.scale
        for index, forecast in enumerate(due.expert_forecasts):
            if forecast is None:
                continue
            error = min(abs(demand - forecast), limit)
            scored = self._scored[index] = self._scored[index] + 1
            rate = self._skill_rate if scored > 50 else 1.0 / scored
            self._errors[index] += rate * (error * error - self._errors[index])
        error = min(abs(demand - due.mean), limit)
        self._scale += self._scale_rate * (error - self._scale)
        self._recent_error += self._recent_rate * (error - self._recent_error)

    def _ask(self, demand: float) -> list[float | None]:
        sums, level_steps = self._sums, min(self._level_steps, self.steps)
        level = (sums[-1] - sums[-1 - level_steps]) / level_steps
        slope = demand - self._previous
        return [
            self._fast,
            self._slow,
            self._slowest,
            demand + self._horizon * slope,
            demand + 0.5 * self._horizon * slope,
            self._seasonal(level, self._day, self._smooth_steps, DAYS_BACK),
            self._seasonal(level, self._week, self._smooth_steps, 1),
            self._seasonal(level, self._hour, 0, DAYS_BACK),
        ]

    def _seasonal(self, level: float, period: int, smooth: int, periods_back: int) -> float | None:
        """``level`` times (what came at the aimed-at phase) / (the level at the present phase) before."""
        sums, now = self._sums, self.steps - 1
        came = was = 0.0
        weight = 1.0
        for back in range(1, periods_back + 1):
            then = now - period * back
            if then < self._level_steps:
                break
            low = then + self._horizon - smooth
            high = min(then + self._horizon + smooth, now) + 1
            if low < 0 or low >= high:
                break
            came += weight * (sums[high] - sums[low]) / (high - low)
            was += weight * (sums[then + 1] - sums[then + 1 - self._level_steps]) / self._level_steps
            weight *= DAY_FADE
        if weight == 1.0:
            return None
        ratio = came / was if was > 1e-9 else 1.0
        return level * min(RATIO_HIGH, max(RATIO_LOW, ratio))

    def _blend(self, forecasts: list[float | None], demand: float) -> float:
        if self.steps <= CAREFUL:
            return demand
        errors, scored = self._errors, self._scored
        heard = [
            (errors[index], forecast)
            for index, forecast in enumerate(forecasts)
            if forecast is not None and scored[index] >= PROVEN
        ]
        if not heard:
            return demand
        best = max(min(error for error, _ in heard), 1e-8)
        total = blended = 0.0
        for error, forecast in heard:
            weight = (best / max(error, 1e-8)) ** SHARPNESS
            total += weight
            blended += weight * forecast
        return blended / total
