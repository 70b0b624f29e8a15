"""What is served instead of a service that fails."""

from __future__ import annotations

import inspect
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from oatie_ops.recovery.call_key import Keys

# Each is known under two keys.
MAX_RESULTS = 2 * 256


class NothingToServe(LookupError):
    """There is neither a fresh enough result, nor a function, nor data."""


class ServiceFallback:
    """In this order: the last good result of the same call, while it is younger than ``cache_duration``
    seconds (0: none is kept); ``fallback_function``, called as the service would have been, or without
    arguments where it takes none; ``fallback_data``.

    ``degraded_mode``: while it serves, the service is told to be degraded (`get_service_health`), and its
    errors are warnings. A call whose arguments cannot be compared is not remembered. What is served is the
    very object that the call had given.
    """

    def __init__(
        self,
        service_name: str,
        fallback_function: Callable[..., Any] | None = None,
        fallback_data: Any = None,
        degraded_mode: bool = True,
        cache_duration: float = 300,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if cache_duration < 0:
            raise ValueError("cache_duration must not be negative")
        if fallback_function is not None and not callable(fallback_function):
            raise TypeError("fallback_function must be a function; what is served as it is, is fallback_data")
        self.service_name = service_name
        self.fallback_function = fallback_function
        self.fallback_data = fallback_data
        self.degraded_mode = degraded_mode
        self.cache_duration = cache_duration
        self._clock = clock
        self._lock = threading.Lock()
        self._results: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    def __repr__(self) -> str:
        return f"ServiceFallback({self.service_name!r}, cache_duration={self.cache_duration:g})"

    def remember(self, call: Keys, result: Any) -> None:
        """A good result of a call (`oatie_ops.recovery.call_key.call_keys`)."""
        if not self.cache_duration:
            return
        with self._lock:
            for key in call:
                self._results.pop(key, None)
                self._results[key] = (self._clock(), result)
            while len(self._results) > MAX_RESULTS:
                self._results.popitem(last=False)

    def last_good(self, call: Keys) -> tuple[float, Any] | None:
        """Its age in seconds and the result, where it is fresh enough."""
        with self._lock:
            found = next((self._results[key] for key in call if key in self._results), None)
        if found is None:
            return None
        age = self._clock() - found[0]
        return (age, found[1]) if age < self.cache_duration else None

    def serve(self, call: Keys, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The function's own result, which is a coroutine where it is async. Raises `NothingToServe`."""
        found = self.last_good(call)
        if found is not None:
            return found[1]
        if self.fallback_function is not None:
            return call_with(self.fallback_function, *args, **kwargs)
        if self.fallback_data is not None:
            return self.fallback_data
        raise NothingToServe(self.service_name)

    def after_fork(self) -> None:
        """In the child: whoever held the lock was not taken along."""
        self._lock = threading.Lock()


def call_with(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Calls it with what it is offered, or with nothing, where that is all that it takes."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # one of C that does not tell
        return function(*args, **kwargs)
    for given, named in ((args, kwargs), ((), {})):
        try:
            signature.bind(*given, **named)
        except TypeError:
            continue
        return function(*given, **named)
    return function(*args, **kwargs)
