"""Loads for tests: made by formulas with a seed, in replicas, one value a minute."""

from __future__ import annotations

import math
import random

DAY = 1440


def daily(days: float, seed: int = 1, level: float = 6.0, noise: float = 0.08) -> list[float]:
    """A day with a valley and a peak, and noise in proportion."""
    random_ = random.Random(seed)
    return [
        level * (1 + 0.6 * math.sin(2 * math.pi * minute / DAY)) * max(0.0, random_.gauss(1, noise))
        for minute in range(int(days * DAY))
    ]


def bursty(days: float, seed: int = 2) -> list[float]:
    """Flat, with jumps to several times the level that nothing announces."""
    random_ = random.Random(seed)
    load, burst = [], 0
    for _ in range(int(days * DAY)):
        if random_.random() < 0.004:
            burst = random_.randint(2, 9)
        load.append((7.0 if burst else 2.0) * random_.uniform(0.85, 1.15))
        burst = max(0, burst - 1)
    return load
