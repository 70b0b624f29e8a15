"""What listeners are told. They run after every lock was let go, in the thread of the call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import iscoroutinefunction

from oatie_ops.recovery.breaker.state import NORMAL, Circuit, State

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """From one state to another. ``retry_after``: seconds it stays open, 0 for other states.

    ``error``: the text of the failure that opened it, if one did. ``shadow``: it would have opened, but it is
    in ``metrics_only`` mode.
    """

    service: str
    before: State
    after: State
    retry_after: float = 0.0
    error: str = ""
    shadow: bool = False


Listener = Callable[[Change], object]


def checked(listeners: Iterable[Listener]) -> tuple[Listener, ...]:
    """Raises `TypeError`: nobody would await an async one, and it would never hear of anything."""
    given = tuple(listeners)
    for listener in given:
        if not callable(listener) or iscoroutinefunction(listener):
            raise TypeError(f"a listener must be a plain function, and {listener!r} is none")
    return given


def tell(listeners: tuple[Listener, ...], change: Change) -> None:
    for listener in listeners:
        try:
            listener(change)
        except Exception:
            log.exception("a listener of the breaker of %s failed", change.service)


def tell_move(  # noqa: PLR0917
    listeners: tuple[Listener, ...],
    service: str,
    before: Circuit,
    after: Circuit,
    now: float,
    error: BaseException | None,
) -> None:
    """Where the state is another one, or open again."""
    old, new = _named(before), _named(after)
    if old is not new or (new is State.OPEN and before.generation != after.generation):
        left = max(0.0, after.open_until - now) if new is State.OPEN else 0.0
        tell(listeners, Change(service, old, new, left, _text(error)))


def tell_shadow(listeners: tuple[Listener, ...], service: str, error: BaseException | None) -> None:
    """It would have opened."""
    tell(listeners, Change(service, State.CLOSED, State.OPEN, 0.0, _text(error), shadow=True))


def _named(circuit: Circuit) -> State:
    return circuit.state if circuit.mode is NORMAL else circuit.mode


def _text(error: BaseException | None) -> str:
    if error is None:
        return ""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an exception that cannot say what it is
        return type(error).__name__
