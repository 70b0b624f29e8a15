"""When a check runs next. Pure; ``chance`` is a random number from 0 to 1 that the caller draws."""

from __future__ import annotations

from oatie_ops.health.model import CheckSpec, CheckState

FIRST_SPREAD_SECONDS = 1.0
FIRST_SPREAD_PER_CHECK_SECONDS = 0.002
JITTER = 0.05
# While a status is about to change, asking sooner shortens the doubt (as `fastinter` of HAProxy).
DOUBT_FACTOR = 5.0
MIN_DOUBT_SECONDS = 1.0


def first_delay_seconds(spec: CheckSpec, chance: float, checks: int) -> float:
    """Soon, but a thousand ``checks`` not in the same instant."""
    spread = min(FIRST_SPREAD_SECONDS, checks * FIRST_SPREAD_PER_CHECK_SECONDS)
    return chance * min(spread, spec.interval_seconds / 10)


def next_delay_seconds(
    spec: CheckSpec, state: CheckState, took_seconds: float, chance: float, *, first: bool = False
) -> float:
    """Seconds to wait after a run that took ``took_seconds``, so that runs start ``interval`` apart.

    After the ``first`` run the wait is anything from half an interval up, which spreads checks that began
    together over the whole interval.
    """
    interval = spec.interval_seconds
    if state.undecided:
        interval = min(interval, max(MIN_DOUBT_SECONDS, interval / DOUBT_FACTOR))
    spread = 0.5 + 0.5 * chance if first else 1 - JITTER + 2 * JITTER * chance
    return max(interval * spread - took_seconds, interval / 10)
