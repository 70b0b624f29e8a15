"""How a call in flight is marked when its deadline interrupts it, and how that end is told from others."""

from __future__ import annotations

import asyncio

# Instead of the circuit's word, and equal to none: through what it waited for, or through its task.
OVERDUE, OVERDUE_BY_TASK = -2, -3


def was_interrupted(mark: int | None, error: BaseException) -> bool:
    """Whether this end of a call is our doing, and not also somebody else's who cancelled its task."""
    if mark not in (OVERDUE, OVERDUE_BY_TASK) or not isinstance(error, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    if task is None:
        return True
    return not (task.uncancel() if mark == OVERDUE_BY_TASK else task.cancelling())
