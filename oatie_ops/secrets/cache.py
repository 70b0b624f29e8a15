"""Values in memory only, each for a limited time; several askers at once cause one look-up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

V = TypeVar("V")


@dataclass
class _Entry(Generic[V]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: V | None = None
    expires: float = float("-inf")


class Cache(Generic[V]):
    """Thread-safe. ``ttl_seconds`` 0 keeps nothing. A failed look-up is not kept."""

    def __init__(self, ttl_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl = ttl_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[Hashable, _Entry[V]] = {}

    def get(self, key: Hashable, load: Callable[[], V]) -> V:
        entry = self._entry(key)
        with entry.lock:
            if entry.value is not None and self._clock() < entry.expires:
                return entry.value
            return self._loaded(entry, load)

    def refresh(self, key: Hashable, load: Callable[[], V], stale: V) -> V:
        """Looks up again, unless another asker has replaced ``stale`` meanwhile."""
        entry = self._entry(key)
        with entry.lock:
            if entry.value is not None and entry.value is not stale and self._clock() < entry.expires:
                return entry.value
            return self._loaded(entry, load)

    def put(self, key: Hashable, value: V) -> None:
        entry = self._entry(key)
        with entry.lock:
            entry.value, entry.expires = value, self._clock() + self._ttl

    def peek(self, key: Hashable) -> V | None:
        entry = self._entries.get(key)
        return entry.value if entry is not None and self._clock() < entry.expires else None

    def _loaded(self, entry: _Entry[V], load: Callable[[], V]) -> V:
        value = load()
        entry.value, entry.expires = value, self._clock() + self._ttl
        return value

    def _entry(self, key: Hashable) -> _Entry[V]:
        with self._lock:
            return self._entries.setdefault(key, _Entry())
