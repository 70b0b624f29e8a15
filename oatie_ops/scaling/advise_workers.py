"""How many workers one host or container should have, and how much memory that takes. Pure."""

from __future__ import annotations

from oatie_ops.scaling.observed import Observed, high
from oatie_ops.scaling.queueing import MOST_WORKERS, throughput, workers_for
from oatie_ops.scaling.recommendation import CONFIDENCE, Evidence, Number, Recommendation, Unknown

ENOUGH_MINUTES = 60
MOST_HIDDEN = 0.01
MEMORY_MARGIN = 1.15
MOST_ERRORS = 0.05  # a failure costs something else than an answer
TIGHT, ROOMY = 0.7, 0.2  # peak load over capacity: act soon; capacity that more workers would add
MODEL = "machine repairman M/M/c//N: oatie_ops.scaling.queueing"


def lacking_minutes(seen: Observed) -> int:
    return max(0, ENOUGH_MINUTES - len(seen.loaded))


def too_little(kind: str, seen: Observed) -> Unknown | None:
    lacking = lacking_minutes(seen)
    if lacking == 0:
        return None
    loaded = len(seen.loaded)
    had = f"only {loaded} minute{'' if loaded == 1 else 's'}" if loaded else "no minute yet"
    return Unknown(
        kind,
        f"{had} had more than 1 request a second",
        f"needs {lacking}{' more' if loaded else ''} minute{'' if lacking == 1 else 's'} of load above 1 rps",
    )


def capacity(seen: Observed, workers: int) -> float:
    """Requests per second that so many workers can do at the most."""
    return throughput(workers, seen.places_at_a_time, seen.cores, seen.cpu_seconds, seen.wait_seconds)


def memory_each(seen: Observed) -> float:
    """Of one worker: the 95th percentile of the minutes' maxima."""
    each = [
        rss / workers if rss is not None and workers else None
        for rss, workers in zip(seen.rss_bytes, seen.workers, strict=True)
    ]
    return high(each, 0.95)


def memory_cap(seen: Observed) -> int:
    """The most workers that fit beside what else is in memory; many where no limit is known."""
    each = memory_each(seen)
    if not seen.memory_limit_bytes or not seen.memory_used_bytes or each <= 0:
        return MOST_WORKERS
    own = next((value for value in reversed(seen.rss_bytes) if value is not None), 0.0)
    base = max(0.0, seen.memory_used_bytes - own)
    return max(1, min(MOST_WORKERS, int((seen.memory_limit_bytes - base) / (each * MEMORY_MARGIN))))


def advise_workers(seen: Observed, grade: str) -> Recommendation | Unknown:
    if unknown := too_little("workers", seen):
        return unknown
    if seen.cpu_seconds <= 0:
        return Unknown(
            "workers",
            "no processor time was measured for the requests",
            "needs load that takes measurable processor time",
        )
    cap = memory_cap(seen)
    wanted = workers_for(seen.places_at_a_time, seen.cores, seen.cpu_seconds, seen.wait_seconds, MOST_WORKERS)
    workers, current = min(wanted, cap), seen.current_workers
    now, then = capacity(seen, current), capacity(seen, workers)
    peak = high(seen.arrivals, 0.99)
    capped = " (as many as the memory holds)" if workers < wanted else ""
    hidden = seen.saturated_share
    failing = seen.error_share
    doubtful = hidden > MOST_HIDDEN or failing > MOST_ERRORS
    least = "at least " if hidden > MOST_HIDDEN else ""
    if workers == current:
        title = f"Keep {current} workers"
        action = "nothing to do"
    else:
        title = f"Run {least}{workers} workers instead of {current}{capped}"
        action = f"oatie scale workers={workers}, and workers = {workers} in [app] of oatie.toml"
    return Recommendation(
        type="workers",
        priority=_priority(peak, now, then, changed=workers != current),
        title=title,
        description=_describe(seen, hidden, failing),
        action=action,
        estimated_impact=f"the most that can be served goes from {now:.0f} to {then:.0f} requests a second"
        f" ({then / now - 1:+.0%}); the busiest minutes (p99) had {peak:.1f}",
        complexity="low: no restart, no lost request",
        confidence=CONFIDENCE["C"] if doubtful else CONFIDENCE[grade],
        evidence=Evidence(
            numbers={
                "cpu_seconds_per_request": round(seen.cpu_seconds, 6),
                "wait_seconds_per_request": round(seen.wait_seconds, 6),
                "cores": seen.cores,
                "requests_in_hand_per_worker": seen.places_at_a_time,
                "workers_now": current,
                "capacity_now_rps": round(now, 2),
                "capacity_then_rps": round(then, 2),
                "peak_rps": round(peak, 2),
                "memory_per_worker_bytes": round(memory_each(seen)),
                "workers_that_fit_in_memory": cap,
                "saturated_share": round(hidden, 4),
                "error_share": round(failing, 4),
            },
            window=f"{len(seen.loaded)} minutes above 1 rps of {seen.span_seconds / 3600:.1f} h",
            formula="the fewest workers w with X(w) >= 0.95 cores / cpu_seconds, at most"
            " (memory limit - the rest) / (1.15 memory_per_worker)",
            source=MODEL,
        ),
        value=workers,
        current=current,
    )


def _priority(peak: float, now: float, then: float, *, changed: bool) -> str:
    if not changed:
        return "low"
    if peak > TIGHT * now:
        return "high"
    return "medium" if then > (1 + ROOMY) * now else "low"


def _describe(seen: Observed, hidden: float, failing: float) -> str:
    cpu, wait = seen.cpu_seconds * 1000, seen.wait_seconds * 1000
    slots = seen.places_at_a_time
    hand = "as many requests in hand as come" if slots is None else f"{slots} at a time"
    told = (
        f"A request takes {cpu:.1f} ms of a processor and waits {wait:.1f} ms for others; a worker has"
        f" {hand}, on {seen.cores:g} cores."
    )
    if hidden > MOST_HIDDEN:
        told += (
            f" For {hidden:.0%} of the loaded time everything was busy: there was more demand than was seen,"
            " so this is the least that it should be."
        )
    if failing > MOST_ERRORS:
        told += f" {failing:.0%} of the answers were failures (5xx), which may cost less than an answer does."
    return told


def what_if(seen: Observed, recommended: int) -> tuple[dict[str, Number], ...]:
    """The same model for other numbers of workers."""
    if lacking_minutes(seen) or seen.cpu_seconds <= 0:
        return ()
    current = seen.current_workers
    near = {1, current, recommended, max(1, current // 2), 2 * current, recommended + 2, round(seen.cores)}
    each, peak = memory_each(seen), high(seen.arrivals, 0.99)
    rows: list[dict[str, Number]] = []
    for workers in sorted(n for n in near if n >= 1):
        most = capacity(seen, workers)
        rows.append(
            {
                "workers": workers,
                "requests_per_s": round(most, 1),
                "peak_load_share": round(peak / most, 3) if most else None,
                "memory_bytes": round(workers * each),
            }
        )
    return tuple(rows)


def advise_memory(seen: Observed, workers: int, grade: str) -> Recommendation | Unknown:
    if unknown := too_little("memory", seen):
        return unknown
    per_worker = [
        rss / count if rss is not None and count else None
        for rss, count in zip(seen.rss_bytes, seen.workers, strict=True)
    ]
    most = max((value for value in per_worker if value is not None), default=0.0)
    if most <= 0:
        return Unknown("memory", "the memory of the workers was not measured", "needs a running supervisor")
    limit = (workers * most + seen.supervisor_rss_bytes) * MEMORY_MARGIN
    rounded = float(-(-limit // 2**20) * 2**20)
    return Recommendation(
        type="memory",
        priority="low",
        title=f"Limit the memory to {rounded / 2**20:.0f} MiB",
        description="What the workers and the supervisor took at most, and 15 %; a leak then meets the limit"
        " of its container and not everything else on the host.",
        action=f'memory = "{rounded / 2**20:.0f}MiB" in [container], or MemoryMax= of the unit',
        estimated_impact="a leak ends one container or unit, not the host",
        complexity="low",
        confidence=CONFIDENCE[grade],
        evidence=Evidence(
            numbers={
                "workers": workers,
                "memory_per_worker_most_bytes": round(most),
                "supervisor_bytes": round(seen.supervisor_rss_bytes),
            },
            window=f"{seen.span_seconds / 3600:.1f} h",
            formula="(workers x most memory of a worker + supervisor) x 1.15, rounded up to a MiB",
            source="resident memory, maxima of each minute",
        ),
        value=rounded,
        current=seen.memory_limit_bytes,
    )
