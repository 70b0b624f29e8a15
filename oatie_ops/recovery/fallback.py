"""What is served instead of a service that fails."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any

MAX_RESULTS = 256


class NothingToServe(LookupError):
    """There is neither a fresh enough result, nor a function, nor data."""


class ServiceFallback:
    """In this order: the last good result of the same call, while it is younger than ``cache_duration``
    seconds (0: none is kept); ``fallback_function``, called as the service would have been;
    ``fallback_data``.

    ``degraded_mode``: while it serves, the service is told to be degraded (`get_service_health`), and its
    errors are warnings. A call whose arguments cannot be hashed is not remembered.
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

    def remember(self, call: Hashable | None, result: Any) -> None:
        """A good result of a call (`call_key`)."""
        if call is None or not self.cache_duration:
            return
        with self._lock:
            self._results.pop(call, None)
            self._results[call] = (self._clock(), result)
            if len(self._results) > MAX_RESULTS:
                self._results.popitem(last=False)

    def last_good(self, call: Hashable | None) -> tuple[float, Any] | None:
        """Its age in seconds and the result, where it is fresh enough."""
        with self._lock:
            found = None if call is None else self._results.get(call)
        if found is None:
            return None
        age = self._clock() - found[0]
        return (age, found[1]) if age < self.cache_duration else None

    def serve(self, call: Hashable | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The function's own result, which is a coroutine where it is async. Raises `NothingToServe`."""
        found = self.last_good(call)
        if found is not None:
            return found[1]
        if self.fallback_function is not None:
            return self.fallback_function(*args, **kwargs)
        if self.fallback_data is not None:
            return self.fallback_data
        raise NothingToServe(self.service_name)

    def after_fork(self) -> None:
        self._lock = threading.Lock()


def call_key(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Hashable | None:
    """None where a call cannot be told from others: something in it cannot be hashed."""
    code = getattr(function, "__code__", None)
    # A lambda is made anew for each call; the same code with the same variables around it is the same call.
    try:
        around = tuple(cell.cell_contents for cell in getattr(function, "__closure__", None) or ())
    except ValueError:  # a variable that has no value (yet)
        return None
    defaults = getattr(function, "__kwdefaults__", None) or {}
    around = (
        *around,
        getattr(function, "__defaults__", None),
        *sorted(defaults.items()),
        id(getattr(function, "__globals__", None)),
    )
    owner = getattr(function, "__self__", None)
    given = (*args, *kwargs.values())
    # 1, 1.0 and True are equal, and yet another question.
    kinds = tuple(map(type, given))
    key = (function if code is None else code, around, owner, args, tuple(sorted(kwargs.items())), kinds)
    try:
        hash(key)
    except TypeError:
        return None
    return key
