"""The breaker's state as a value, and as one 64-bit word that other processes read without a lock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What `CircuitBreaker.state` says. The last three are an operator's."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    DISABLED = "disabled"
    METRICS_ONLY = "metrics_only"


BY_CODE = (State.CLOSED, State.OPEN, State.HALF_OPEN)
CODES = {state: code for code, state in enumerate(BY_CODE)}
# An operator's mode beside the state; NORMAL is 0.
NORMAL = State.CLOSED
MODES = (NORMAL, State.FORCED_OPEN, State.DISABLED, State.METRICS_ONLY)
MODE_CODES = {mode: code for code, mode in enumerate(MODES)}
GENERATIONS = 2**48


@dataclass(frozen=True, slots=True)
class Lease:
    """The place of one half-open probe. ``until`` is a time of the breaker's clock, in seconds."""

    token: int
    until: float


@dataclass(frozen=True, slots=True)
class Circuit:
    """``generation`` changes with every change of state, so that late results can be told.

    ``open_until`` and ``mode_until`` are times of the breaker's clock in seconds; ``mode_until`` 0: no end.
    ``reopens``: open periods since it was last closed, the first not counted. ``tokens``: leases given.
    """

    state: State = State.CLOSED
    generation: int = 1
    open_until: float = 0.0
    reopens: int = 0
    successes: int = 0
    tokens: int = 0
    leases: tuple[Lease, ...] = ()
    mode: State = NORMAL
    mode_until: float = 0.0

    @property
    def word(self) -> int:
        return self.generation << 8 | MODE_CODES[self.mode] << 4 | CODES[self.state]


def parts(word: int) -> tuple[int, State, State] | None:
    """Generation, mode and state of a word; None where it is none of ours."""
    mode, state = word >> 4 & 15, word & 15
    if mode >= len(MODES) or state >= len(BY_CODE) or not word >> 8:
        return None
    return word >> 8, MODES[mode], BY_CODE[state]
