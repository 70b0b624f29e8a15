"""Does a service change so often that telling each change would only be noise? Pure."""

from __future__ import annotations

from collections.abc import Iterable

WINDOW_SECONDS = 600.0
# Three times down and up again in ten minutes; over once it was quiet for most of the window.
ENTER_CHANGES = 6
LEAVE_CHANGES = 2


def is_flapping(before: bool, changed_at: Iterable[float], now: float) -> bool:
    """``changed_at`` and ``now`` on the same monotonic clock, in seconds.

    Entered and left at different rates (as Nagios does), so that flapping itself does not flap.
    """
    lately = sum(1 for at in changed_at if now - at < WINDOW_SECONDS)
    return lately > LEAVE_CHANGES if before else lately >= ENTER_CHANGES
