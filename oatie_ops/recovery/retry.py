"""How often a failed call is tried again, and how many such tries a service may get in all.

The waits are stamina's: exponential with jitter, bounded in number and time. The budget is what keeps
retries from making an outage worse: they may add only a share of the calls that are made anyway.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Retry:
    """``attempts``: calls in all, the first included. ``on``: what is worth another try. Times in seconds.

    A call that was not let through (`CircuitOpenError`) is never tried again.
    """

    attempts: int = 3
    on: tuple[type[Exception], ...] = (ConnectionError, TimeoutError)
    wait_initial: float = 0.1
    wait_max: float = 5.0
    wait_jitter: float = 1.0
    timeout: float | None = 45.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts must be 1 or more")


class RetryBudget:
    """``ratio`` tries again for each call, and ``per_second`` in any case; at most ``reserve`` saved up."""

    def __init__(
        self,
        ratio: float = 0.2,
        per_second: float = 1.0,
        reserve: float = 10.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio, self._per_second, self._reserve = ratio, per_second, reserve
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = reserve
        self._at = clock()

    def called(self) -> None:
        """One call more, which pays for a share of a try."""
        # Without the lock: a share that two threads lose between them is no harm, a lock on every call is.
        self._tokens = min(self._reserve, self._tokens + self._ratio)

    def take(self) -> bool:
        """Whether one more try may be made now."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._reserve, self._tokens + (now - self._at) * self._per_second)
            self._at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def after_fork(self) -> None:
        """In the child: whoever held the lock was not taken along."""
        self._lock = threading.Lock()
