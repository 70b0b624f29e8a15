"""The sizes of pools and the time-outs. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from oatie_ops.scaling.advise_workers import too_little
from oatie_ops.scaling.observed import Facts, Observed, high
from oatie_ops.scaling.queueing import pool_for, waits_longer
from oatie_ops.scaling.recommendation import CONFIDENCE, Evidence, Recommendation, Unknown

POOL_WAIT_SECONDS = 0.005
POOL_CHANCE = 0.01
FEWEST_REQUESTS = 2000
TIMEOUT_SHARE, TIMEOUT_FACTOR, SHORTEST_TIMEOUT_SECONDS = 0.999, 3.0, 1.0


def advise_pool(seen: Observed, workers: int) -> Recommendation | Unknown:
    """Of connections that a request may hold; never more than a worker has requests in hand."""
    if unknown := too_little("pool", seen):
        return unknown
    holding = seen.wait_seconds
    if holding <= 0.0005:
        return Unknown(
            "pool",
            "requests hardly wait for anything",
            "needs requests that wait for a database or a service",
        )
    peak = high(seen.arrivals, 0.99) / workers
    offered = peak * holding
    slots = seen.places_at_a_time
    size = pool_for(offered, holding, POOL_WAIT_SECONDS, POOL_CHANCE)
    if slots is not None:
        size = min(size, slots)
    chance = waits_longer(size, offered, holding, POOL_WAIT_SECONDS) if slots is None else 0.0
    return Recommendation(
        type="pool",
        priority="low",
        title=f"{size} connection{'s' if size != 1 else ''} in the pool of each worker,"
        f" {size * workers} together",
        description=f"A request waits {holding * 1000:.1f} ms for others. How much of that is the database"
        " was not measured, so a connection is taken to be held all that time: this is an upper bound.",
        action=f"pool size {size} (SQLAlchemy: pool_size={size}, max_overflow=0); the database must allow"
        f" {size * workers} connections for each replica",
        estimated_impact=f"a wait above 5 ms for a connection is rarer than 1 % ({chance:.2%}) in the busiest"
        " minutes",
        complexity="medium: a setting of the application",
        confidence=CONFIDENCE["C"],
        evidence=Evidence(
            numbers={
                "peak_rps_per_worker": round(peak, 3),
                "holding_seconds": round(holding, 6),
                "offered_erlangs": round(offered, 4),
                "requests_in_hand_per_worker": slots,
                "workers": workers,
            },
            window=f"p99 of the minutes of {seen.span_seconds / 3600:.1f} h",
            formula="the fewest c with C(c, a) exp(-(c - a) 5 ms / holding) < 1 %, a = peak x holding",
            source="Erlang's C formula, M/M/c",
        ),
        value=size,
    )


def upper_quantile(buckets: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """The upper limit of the bucket that holds it; None where that is the bucket without a limit."""
    need, seen = share * sum(buckets), 0
    for count, bound in zip(buckets, bounds, strict=False):
        seen += count
        if seen >= need:
            return bound
    return None


def advise_timeout(facts: Facts) -> Recommendation | Unknown:
    total = sum(facts.buckets)
    if not facts.buckets:
        return Unknown("timeout", "no supervisor runs that timed requests", "needs `oatie start`")
    if total < FEWEST_REQUESTS:
        return Unknown(
            "timeout",
            f"{total} requests were timed; their slowest thousandth says nothing yet",
            f"needs {FEWEST_REQUESTS - total} more requests",
        )
    slowest = upper_quantile(facts.buckets, facts.bounds_seconds, TIMEOUT_SHARE)
    if slowest is None:
        return Unknown(
            "timeout",
            f"one in a thousand requests takes longer than {facts.bounds_seconds[-1]:g} s, the longest that"
            " is told apart",
            "find out which they are first; a time-out would cut good answers",
        )
    seconds = float(max(SHORTEST_TIMEOUT_SECONDS, math.ceil(TIMEOUT_FACTOR * slowest)))
    return Recommendation(
        type="timeout",
        priority="low",
        title=f"Time out after {seconds:g} s",
        description="Three times what one in a thousand requests takes, rounded up, at least 1 s. The"
        " caller's own time-out should be a tenth longer, so that the answer that tells of it still arrives.",
        action=f"a time-out of {seconds:g} s for requests, and {seconds * 1.1:.3g} s or more in the callers",
        estimated_impact="who waits for a stuck dependency gives up instead of piling up",
        complexity="medium: a setting of the application or of the proxy",
        confidence=CONFIDENCE["B"],
        evidence=Evidence(
            numbers={"p999_upper_seconds": slowest, "requests": total},
            window=f"{total} requests since the supervisor started",
            formula="max(1 s, ceil(3 x p99.9)), p99.9 = the upper limit of its bucket",
            source="histogram of the time from the call of the application to its last byte",
        ),
        value=seconds,
    )
