"""When a worker that ended is started again. Pure: times in, delay out."""

from __future__ import annotations

from collections.abc import Sequence

from oatie_ops.config import defaults
from oatie_ops.records import dataclass


@dataclass(frozen=True)
class Ending:
    """One unplanned end. ``served`` tells a worker that had been ready from one that never booted."""

    at: float  # monotonic seconds
    served: bool


@dataclass(frozen=True)
class Restart:
    delay_seconds: float
    looping: bool  # more ends in the window than the limit: shown to the operator, tried slowly for ever


def next_restart(
    endings: Sequence[Ending],
    now: float,
    *,
    limit: int,
    window_seconds: float,
    jitter: float = 0.5,
    base_seconds: float = defaults.RESTART_BACKOFF_SECONDS,
    max_seconds: float = defaults.RESTART_BACKOFF_MAX_SECONDS,
) -> Restart:
    """The first ends of workers that had served are replaced at once; failed boots back off from the first.

    ``jitter`` in [0, 1) is the caller's random number: workers that died together do not boot together.
    """
    recent = [ending for ending in endings if now - ending.at <= window_seconds]
    failed_boots = 0
    for ending in reversed(recent):
        if ending.served:
            break
        failed_boots += 1
    looping = len(recent) > limit
    if not looping and failed_boots == 0:
        return Restart(0.0, looping=False)
    exponent = max(failed_boots - 1, len(recent) - limit if looping else 0)
    delay = min(max_seconds, base_seconds * 2.0 ** min(exponent, 16))
    if looping:
        delay = max(delay, min(max_seconds, base_seconds * 2.0 ** len(recent)))
    return Restart(delay * (1.0 - 0.25 * jitter), looping)
