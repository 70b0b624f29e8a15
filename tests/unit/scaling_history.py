"""A history of measurements as the supervisor would have written it: minutes of a load with known costs."""

from __future__ import annotations

from collections.abc import Sequence

from oatie_ops.performance.buckets import History, blank
from oatie_ops.scaling.observed import SERIES

MINUTE = 60


def minutes(
    arrivals: Sequence[float | None],
    *,
    cpu_seconds: float = 0.01,
    wait_seconds: float = 0.04,
    workers: int = 2,
    in_flight_most: float | None = None,
    cores_busy: float | None = None,
    accept_queue: float = 0.0,
    error_share: float = 0.0,
    rss_bytes: float = 60e6,
    memory_limit_bytes: float = 8e9,
    start: int = 1_700_000_000 // MINUTE * MINUTE,
) -> dict[str, History]:
    """One bucket a minute for each value; None leaves a gap."""
    found = {name: blank(name, start, MINUTE, len(arrivals)) for name in SERIES}
    for minute, rate in enumerate(arrivals):
        if rate is None:
            continue
        service = cpu_seconds + wait_seconds
        values = {
            "app.arrivals_per_s": rate,
            "app.completions_per_s": rate,
            "app.errors_per_s": error_share * rate,
            "app.concurrency": rate * service,
            "app.in_flight": 3.0 * workers if in_flight_most is None else in_flight_most,
            "app.service_seconds": service,
            "app.cpu_cores": rate * cpu_seconds if cores_busy is None else cores_busy,
            "app.rss_bytes": rss_bytes * workers,
            "app.workers": workers,
            "app.accept_queue": accept_queue,
            "supervisor.rss_bytes": 50e6,
            "host.memory_total_bytes": memory_limit_bytes,
            "host.memory_used_bytes": min(1e9, memory_limit_bytes / 2),
        }
        for name, value in values.items():
            into = found[name]
            into.counts[minute] = MINUTE
            into.mins[minute] = into.means[minute] = into.maxes[minute] = into.p95s[minute] = value
    return found
