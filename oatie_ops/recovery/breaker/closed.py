"""Closed: counts what came back and says when that is too much. Callers hold the breaker's lock."""

from __future__ import annotations

from collections import deque

from oatie_ops.recovery.breaker.config import CircuitBreakerConfig

SLICES = 10
FAILED, SLOW = 1, 2


class CountWindow:
    """The last ``window_size`` calls, two bits each in a ring.

    ``idle``: it is full, and nothing in it failed or was slow, so that one more success changes nothing.
    """

    __slots__ = ("_config", "_minimum", "_next", "_ring", "_size", "calls", "failures", "idle", "slow")

    def __init__(self, config: CircuitBreakerConfig) -> None:
        self._config = config
        self._size = int(config.window_size)
        self._minimum = min(config.minimum_calls, self._size)
        self.clear()

    def clear(self) -> None:
        self.calls = self.failures = self.slow = self._next = 0
        self._ring = bytearray(self._size)
        self.idle = False

    def calmly(self, _now: float) -> bool:
        """Without the lock: whether a success has been noted by that."""
        return self.idle

    def add(self, failed: bool, slow: bool, _now: float) -> bool:
        """Whether it should open now."""
        ring, place = self._ring, self._next
        gone, come = ring[place], failed * FAILED | slow * SLOW
        self._next = place + 1 if place + 1 < self._size else 0
        if self.calls < self._size:
            self.calls += 1
        if gone or come:
            ring[place] = come
            self.failures += (come & FAILED) - (gone & FAILED)
            self.slow += (come >> 1) - (gone >> 1)
        if not self.failures and not self.slow:
            self.idle = self.calls == self._size
            return False
        self.idle = False
        return self.calls >= self._minimum and too_many(self.calls, self.failures, self.slow, self._config)


class TimeWindow:
    """The last ``window_size`` seconds, in ten slices: the oldest leaves as a whole."""

    __slots__ = ("_config", "_current", "_seconds", "_slices", "_turn_at", "failures", "slow")
    idle = False  # a success always counts: it dilutes what comes

    def __init__(self, config: CircuitBreakerConfig) -> None:
        self._config = config
        self._seconds = config.window_size / SLICES
        self.clear()

    def clear(self) -> None:
        self.failures = self.slow = 0
        self._turn_at = float("-inf")
        # Of each slice: its number, and its calls, failures and slow calls.
        self._slices: deque[list[int]] = deque()
        self._current = [0, 0, 0, 0]

    @property
    def calls(self) -> int:
        return sum(calls for _, calls, _, _ in self._slices)

    def calmly(self, now: float) -> bool:
        """Without the lock: whether a success has been noted by that.

        Of two threads that count at the same instant one may be lost, which hardly changes a rate.
        """
        if self.failures or self.slow or now >= self._turn_at:
            return False
        self._current[1] += 1
        return True

    def add(self, failed: bool, slow: bool, now: float) -> bool:
        """Whether it should open now."""
        if now >= self._turn_at:
            self._turn(now)
        current = self._current
        current[1] += 1
        current[2] += failed
        current[3] += slow
        self.failures += failed
        self.slow += slow
        return (self.failures or self.slow) > 0 and self._too_many()

    def _too_many(self) -> bool:
        calls, config = self.calls, self._config
        return calls >= config.minimum_calls and too_many(calls, self.failures, self.slow, config)

    def _turn(self, now: float) -> None:
        number = int(now // self._seconds)
        self._turn_at = (number + 1) * self._seconds
        self._current = [number, 0, 0, 0]
        self._slices.append(self._current)
        while self._slices[0][0] <= number - SLICES:
            _, _, failures, slow = self._slices.popleft()
            self.failures -= failures
            self.slow -= slow


def too_many(calls: int, failures: int, slow: int, config: CircuitBreakerConfig) -> bool:
    if failures and failures >= config.failure_rate * calls:
        return True
    return config.slow_call_duration is not None and slow > 0 and slow >= config.slow_call_rate * calls


def window_of(config: CircuitBreakerConfig) -> CountWindow | TimeWindow | None:
    """None: failures in a row are counted by the breaker itself."""
    if config.window == "consecutive":
        return None
    return CountWindow(config) if config.window == "count" else TimeWindow(config)
