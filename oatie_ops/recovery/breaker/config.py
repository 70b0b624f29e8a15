"""What a breaker is told: thresholds, times, what counts as a failure. All times are in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass  # the standard one: applications derive from what is public
from enum import Enum
from math import isfinite
from typing import Any, Literal

Window = Literal["consecutive", "count", "time"]
ExceptionTypes = tuple[type[BaseException], ...]

# Without `recovery_timeout_max` an open period grows up to this many times its first length.
GROWTH_LIMIT = 10.0
# A window of calls is a ring of that many bytes.
MAX_WINDOW_CALLS = 1_000_000


class Outcome(Enum):
    """What a call tells about the service; nothing, where it was ignored."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"


@dataclass(frozen=True)
class CircuitBreakerConfig:
    """Raises `ValueError` for what makes no sense.

    ``window`` decides what opens the breaker: ``"consecutive"`` (``failure_threshold`` failures in a row),
    or the rate of failures or slow calls among the last ``window_size`` calls (``"count"``) or seconds
    (``"time"``), once there are ``minimum_calls`` of them.
    """

    failure_threshold: int = 5
    """Failures in a row that open it (``window="consecutive"``)."""
    success_threshold: int = 3
    """Successful probes that close it again."""
    timeout: float | None = 60.0
    """Deadline of a call: an async one is interrupted with `TimeoutError`, a sync one that took longer counts
    as a failure. Also the longest lease of a half-open probe. None: no deadline."""
    recovery_timeout: float = 300.0
    """How long it stays open before the first probe."""
    window: Window = "consecutive"
    """What the decision to open is taken from."""
    window_size: float = 100
    """Calls (``"count"``) or seconds (``"time"``) that are looked at."""
    minimum_calls: int = 10
    """Fewer calls than this in the window never open it."""
    failure_rate: float = 0.5
    """Share of failures, 0 to 1, from which a window opens it."""
    slow_call_duration: float | None = None
    """A call that took longer is slow. Needs a window."""
    slow_call_rate: float = 1.0
    """Share of slow calls, 0 to 1, from which a window opens it."""
    max_probes: int | None = None
    """Probes at a time while half-open; None: as many as successes are still needed. At most 16."""
    probe_lease: float | None = None
    """After this a probe that has not ended gives its place to another; None: ``timeout``, or
    ``recovery_timeout`` where that is shorter."""
    recovery_timeout_growth: float = 2.0
    """Each time a probe fails, the next open period is this many times longer."""
    recovery_timeout_max: float | None = None
    """The longest open period; None: ten times ``recovery_timeout``."""
    jitter: float = 0.1
    """Open periods after the first are lengthened or shortened at random by up to this share."""
    failures: ExceptionTypes = (Exception,)
    """Exceptions that count as failures; others are ignored."""
    ignore: ExceptionTypes = ()
    """Exceptions that count as nothing: neither failure nor success. Goes before ``failures``."""
    successes: ExceptionTypes = ()
    """Exceptions that prove that the service works, such as a 404. Goes before ``ignore``."""
    predicate: Callable[[BaseException], bool | Outcome | None] | None = None
    """Judges an exception before the types do: True failure, False ignored, an `Outcome`, None no opinion."""
    result_predicate: Callable[[Any], bool | Outcome | None] | None = None
    """Judges a result: True failure, False or None success, or an `Outcome`."""

    def __post_init__(self) -> None:
        for name in ("failures", "ignore", "successes"):
            object.__setattr__(self, name, _types(name, getattr(self, name)))
        for name in ("failure_threshold", "success_threshold", "minimum_calls"):
            _require(getattr(self, name) >= 1, f"{name} must be 1 or more")
        _require(self.timeout is None or self.timeout > 0, "timeout must be more than 0, or None")
        for name in ("recovery_timeout", "window_size", "jitter", "recovery_timeout_growth"):
            _require(isfinite(getattr(self, name)), f"{name} must be a finite number")
        _require(self.recovery_timeout >= 0, "recovery_timeout must not be negative")
        _require(self.window in ("consecutive", "count", "time"), "window: consecutive, count or time")
        _require(self.window_size > 0, "window_size must be more than 0")
        in_calls = self.window == "count"
        _require(
            not in_calls or 1 <= self.window_size <= MAX_WINDOW_CALLS,
            f"window_size must be 1 to {MAX_WINDOW_CALLS:,} calls",
        )
        for name in ("failure_rate", "slow_call_rate"):
            _require(0 < getattr(self, name) <= 1, f"{name} must be more than 0 and at most 1")
        slow = self.slow_call_duration
        _require(slow is None or slow > 0, "slow_call_duration must be more than 0, or None")
        _require(
            slow is None or self.window != "consecutive", "slow_call_duration needs window count or time"
        )
        _require(self.max_probes is None or 1 <= self.max_probes <= 16, "max_probes must be 1 to 16, or None")
        _require(self.probe_lease is None or self.probe_lease > 0, "probe_lease must be more than 0, or None")
        _require(self.recovery_timeout_growth >= 1, "recovery_timeout_growth must be 1 or more")
        _require(0 <= self.jitter < 1, "jitter must be 0 or more and less than 1")
        longest = self.recovery_timeout_max
        _require(
            longest is None or longest >= self.recovery_timeout,
            "recovery_timeout_max must not be less than recovery_timeout",
        )

    @property
    def longest_open(self) -> float:
        """Of any open period, jitter included."""
        longest = self.recovery_timeout_max
        return self.recovery_timeout * GROWTH_LIMIT if longest is None else longest

    @property
    def lease(self) -> float:
        """How long a probe keeps its place."""
        if self.probe_lease is not None:
            return self.probe_lease
        # A period of 0 says that probes may come at once, not that they are to be given up at once.
        bounds = [bound for bound in (self.timeout, self.recovery_timeout) if bound]
        return min(bounds, default=60.0)


def _types(name: str, given: object) -> ExceptionTypes:
    """One type, or any collection of them. Found out here: later it would hide the error of a call."""
    types = given if isinstance(given, tuple | list | set | frozenset) else (given,)
    for kind in types:
        good = isinstance(kind, type) and issubclass(kind, BaseException)
        _require(good, f"{name} must be exception types, and {kind!r} is none")
    return tuple(types)


def _require(condition: bool, words: str) -> None:
    if not condition:
        raise ValueError(words)
