"""One registered service: its breaker, its fallback, its retries, and what can be tried against a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from oatie_ops.recovery.breaker.circuit import CircuitBreaker
from oatie_ops.recovery.fallback import ServiceFallback
from oatie_ops.recovery.retry import Retry, RetryBudget

# Many calls fail together; what is tried against it is tried once for all of them.
STRATEGY_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Strategy:
    """``act`` gets the error; unless it raises or returns False, the call is made once more."""

    act: Callable[[BaseException], Any]
    errors: tuple[type[Exception], ...] = (Exception,)

    @property
    def name(self) -> str:
        return getattr(self.act, "__name__", type(self.act).__name__)


@dataclass
class Service:
    breaker: CircuitBreaker
    fallback: ServiceFallback | None = None
    retry: Retry | None = None
    budget: RetryBudget = field(default_factory=RetryBudget)
    strategies: tuple[Strategy, ...] = ()
    degraded: bool = False  # its fallback served last
    last_error: str = ""
    last_error_at: float | None = None
    calls: int = 0
    failures: int = 0
    served_instead: int = 0
    async_in_disguise: set[CodeType] = field(default_factory=set)  # lambdas that gave a coroutine
    _acting: threading.Lock = field(default_factory=threading.Lock)
    _not_before: float = 0.0

    @property
    def name(self) -> str:
        return self.breaker.name

    def failed(self, error: BaseException) -> None:
        self.failures += 1
        self.last_error = type(error).__name__
        self.last_error_at = time.time()

    def begin_strategies(self, error: BaseException) -> tuple[Strategy, ...]:
        """Those to try now; `end_strategies` must follow where there are any."""
        fitting = tuple(strategy for strategy in self.strategies if isinstance(error, strategy.errors))
        if not fitting or time.monotonic() < self._not_before or not self._acting.acquire(blocking=False):
            return ()
        return fitting

    def end_strategies(self) -> None:
        self._not_before = time.monotonic() + STRATEGY_PAUSE_SECONDS
        self._acting.release()

    def after_fork(self) -> None:
        self._acting = threading.Lock()
        self.budget.after_fork()
        if self.fallback is not None:
            self.fallback.after_fork()
