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


def stepped(days: float, seed: int = 3) -> list[float]:
    """Levels that hold for hours and then are others."""
    random_ = random.Random(seed)
    load: list[float] = []
    while len(load) < days * DAY:
        level = random_.uniform(1, 12)
        load += [level * random_.gauss(1, 0.06) for _ in range(random_.randint(200, 700))]
    return load[: int(days * DAY)]


def ramp(days: float, seed: int = 4) -> list[float]:
    """From one replica to twelve."""
    random_, minutes = random.Random(seed), int(days * DAY)
    return [(1 + 11 * minute / minutes) * random_.gauss(1, 0.05) for minute in range(minutes)]


def crowds(days: float, seed: int = 5) -> list[float]:
    """Daily, and now and then a crowd that comes at once and leaves within an hour or two."""
    random_ = random.Random(seed)
    extra, load = 0.0, []
    for level in daily(days, seed, level=3.0):
        if random_.random() < 1 / (2 * DAY):
            extra = 4.0
        load.append(level * (1 + extra))
        extra *= 0.97
    return load


def hourly(days: float, seed: int = 6) -> list[float]:
    """Daily, with a job at every full hour that takes three minutes."""
    return [
        level * (3 if minute % 60 < 3 else 1)
        for minute, level in enumerate(daily(days, seed, level=3.0, noise=0.06))
    ]


def wandering(days: float, seed: int = 7) -> list[float]:
    """A random walk, of its logarithm."""
    random_, at, load = random.Random(seed), 0.0, []
    for _ in range(int(days * DAY)):
        at += random_.gauss(0, 0.03) - 0.002 * at
        load.append(4 * math.exp(at) * max(0.0, random_.gauss(1, 0.05)))
    return load
