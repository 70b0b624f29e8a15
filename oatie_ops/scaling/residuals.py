"""How wrong the forecasts were, as a distribution that forgets.

Errors are divided by the scale that was expected of them and counted in bins, linear up to one scale and
growing by 9 % above, with a half-life. A few pseudo-observations of a heavy-tailed distribution stand in
where little was seen, so that the first days are careful and the tail is never empty.
"""

from __future__ import annotations

import math

LOWEST = -3.0
BINS_BELOW_ONE = 16
GROWTH = 1.09
BINS = 64
_LOG_GROWTH = math.log(GROWTH)
EDGES = tuple(LOWEST + 0.25 * i for i in range(BINS_BELOW_ONE)) + tuple(
    GROWTH**i for i in range(BINS - BINS_BELOW_ONE)
)
PRIOR_WEIGHT = 50.0
REFRESH_STEPS = 5


def _bin(scaled: float) -> int:
    if scaled < 1.0:
        return 0 if scaled < LOWEST else int((scaled - LOWEST) * 4)
    return min(BINS - 1, BINS_BELOW_ONE + int(math.log(scaled) / _LOG_GROWTH))


def _prior_tail(scaled: float) -> float:
    """Half of the mass below nought; a cubic tail, as heavy as that of a t distribution with 3 degrees."""
    if scaled < 0:
        return 0.5 - scaled * 0.163
    return 0.5 / (1.0 + scaled**3)


_PRIOR = tuple(_prior_tail(edge) for edge in EDGES)


class Residuals:
    """``half_life`` in observations."""

    def __init__(self, half_life: float) -> None:
        self._counts = [0.0] * BINS
        self._total = 0.0
        # Instead of fading every bin, the newest counts more.
        self._weight = 1.0
        self._growth = 0.5 ** (-1.0 / half_life)
        self._tail = list(_PRIOR)
        self._seen = 0

    def add(self, scaled: float) -> None:
        self._counts[_bin(scaled)] += self._weight
        self._total += self._weight
        self._weight *= self._growth
        self._seen += 1
        if self._seen % REFRESH_STEPS == 0:
            self._refresh()

    def exceed(self, scaled: float) -> float:
        """The probability of an error larger than this many scales."""
        if scaled <= LOWEST:
            return 1.0
        index = _bin(scaled)
        if index >= BINS - 1:
            return self._tail[-1] * (EDGES[-1] / scaled) ** 2
        low, high = EDGES[index], EDGES[index + 1]
        at_low = self._tail[index]
        return at_low + (self._tail[index + 1] - at_low) * (scaled - low) / (high - low)

    def _refresh(self) -> None:
        if self._weight > 1e100:
            self._counts = [count / self._weight for count in self._counts]
            self._total /= self._weight
            self._weight = 1.0
        prior = PRIOR_WEIGHT * self._weight
        above = 0.0
        for index in range(BINS - 1, -1, -1):
            above += self._counts[index]
            self._tail[index] = (above + prior * _PRIOR[index]) / (self._total + prior)
