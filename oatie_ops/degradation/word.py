"""One switch as one 64-bit word: what a reader needs for a decision, in a value that cannot be torn.

From the lowest byte on: level (percent of requests that are degraded, 0: none), owner (`Owner`), generation
(two bytes, grows with each change and wraps), deadline (four bytes, in eighths of a second of the host's
monotonic clock, 0: none). The monotonic clock, because a stepped wall clock must neither end nor stretch a
decision. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

TICKS_PER_SECOND = 8
GENERATIONS = 1 << 16
_DEADLINE_BITS = 32


class Owner(IntEnum):
    """Who decides, the higher the stronger: no automatic owner goes before an operator."""

    NOBODY = 0
    LOAD = 1
    APPLICATION = 2
    BREAKER = 3
    OPERATOR = 4


@dataclass(frozen=True, slots=True)
class Word:
    """``deadline_seconds`` is on the monotonic clock of the host; None: it does not end by itself."""

    level: int = 0
    owner: Owner = Owner.NOBODY
    generation: int = 0
    deadline_seconds: float | None = None

    def over(self, now_seconds: float) -> bool:
        return self.deadline_seconds is not None and now_seconds >= self.deadline_seconds


def pack(word: Word) -> int:
    """A deadline is rounded up, so that nothing ends early."""
    ticks = 0
    if word.deadline_seconds is not None:
        ticks = min(max(1, math.ceil(word.deadline_seconds * TICKS_PER_SECOND)), (1 << _DEADLINE_BITS) - 1)
    return word.level | word.owner << 8 | word.generation % GENERATIONS << 16 | ticks << 32


def unpack(value: int) -> Word:
    ticks = value >> 32
    return Word(
        level=value & 0xFF,
        owner=Owner(min(value >> 8 & 0xFF, Owner.OPERATOR)),
        generation=value >> 16 & 0xFFFF,
        deadline_seconds=ticks / TICKS_PER_SECOND if ticks else None,
    )


def level_now(value: int, now_seconds: float) -> int:
    """The level of a packed word at this moment of the monotonic clock."""
    level = value & 0xFF
    if not level:
        return 0
    ticks = value >> 32
    return 0 if ticks and now_seconds * TICKS_PER_SECOND >= ticks else level
