"""What listeners are told. They run after every lock was let go, in the thread of the call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from oatie_ops.recovery.breaker.state import State

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


def tell(listeners: tuple[Listener, ...], change: Change) -> None:
    for listener in listeners:
        try:
            listener(change)
        except Exception:
            log.exception("a listener of the breaker of %s failed", change.service)
