"""Waiting for what nobody tells: asked again and again, until a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.05


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it held within so long."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
