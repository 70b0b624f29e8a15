"""Announced work: while a window covers a service, its failures are expected.

The checks go on and their results stay visible. Windows are kept in the store, so they outlive the
supervisor and can be set without one; `Windows` is what a running check loop holds of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from oatie_ops.health.model import Instant
from oatie_ops.health.standing import EVERYTHING, Maintenance
from oatie_ops.printable import printable
from oatie_ops.store import Store
from oatie_ops.store.health import WindowRow

# A wall clock that was stepped forward makes a window in the store look over; one day covers such steps.
STEPPED_SECONDS = 86_400.0


def begin(
    store: Store, *, service: str = EVERYTHING, seconds: float | None, reason: str, actor: str
) -> Maintenance:
    """``seconds`` None: until `end`. A running supervisor notices within `keeper.LOOK_SECONDS`."""
    now = store.now()
    until = None if seconds is None else now + seconds
    return _window(store.health.add_window(service, printable(reason), printable(actor), until))


def end(store: Store, *, actor: str, service: str | None = None, number: int | None = None) -> int:
    """Ends the windows of exactly ``service`` or the one of this ``number``; all without both. How many."""
    return store.health.clear_windows(actor, service=service, number=number)


def active(store: Store) -> tuple[Maintenance, ...]:
    return tuple(_window(row) for row in store.health.windows())


def lately(store: Store) -> tuple[Maintenance, ...]:
    """Not cleared, and running or over for less than a day. By which clock it is over, `Windows` decides."""
    since = store.now() - STEPPED_SECONDS
    rows = store.health.windows(active=False)
    return tuple(_window(r) for r in rows if r.cleared_at is None and (r.until is None or r.until > since))


class Windows:
    """Keeps each window's end on the monotonic clock: stepping the wall clock neither ends nor stretches it.

    Belongs to the thread of the check loop.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[Maintenance, float | None]] = {}

    def replace(self, windows: Iterable[Maintenance], now: Instant) -> None:
        """What the store holds now. A window that is known already keeps the end that it was given."""
        fresh = {}
        for window in windows:
            left = None if window.until is None else window.until - now.epoch_seconds
            ends = None if left is None else now.monotonic_seconds + left
            held = self._held.get(window.id)
            fresh[window.id] = held if held and held[0].until == window.until else (window, ends)
        self._held = fresh

    def covering(self, service: str, now: Instant) -> Maintenance | None:
        """The window that ends last, of those which cover ``service`` now."""
        if not self._held:  # nearly always, and asked for every result
            return None
        found = [
            (float("inf") if ends is None else ends, window)
            for window, ends in self._held.values()
            if window.covers(service) and (ends is None or ends > now.monotonic_seconds)
        ]
        return max(found, key=lambda pair: pair[0])[1] if found else None


def _window(row: WindowRow) -> Maintenance:
    return Maintenance(row.id, row.service, row.reason, row.actor, row.started_at, row.until)
