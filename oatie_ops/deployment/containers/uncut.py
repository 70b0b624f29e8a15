"""A call to an engine that an interruption must not cut in half: what it makes would be known to nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from oatie_ops.deployment.apart import apart
from oatie_ops.deployment.interrupts import held_back

T = TypeVar("T")


def uncut(call: Callable[[], T]) -> T:
    """The result of the call. What a signal raises meanwhile is raised once the call has ended."""
    thread, done = apart(call, "engine call")
    try:
        # What a signal raised in the midst of `start` would leave a call under way that nobody waits for.
        with held_back():
            thread.start()
        return done.result()
    finally:
        if thread.ident is not None:
            thread.join()
