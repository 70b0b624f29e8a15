"""From two looks at the machine to the values of every series. All pure.

What cannot be known is left out: rates at the first look, of a counter that was reset, of a process that
was not there before (a worker that died while it was looked at, a pid that came back as another process).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from oatie_ops.performance.buckets import PERCENTILE
from oatie_ops.performance.rates import delta, rates
from oatie_ops.performance.readings import Group, Load, Look, Machine, Process

HOST_RATES = ("disk_read_bytes", "disk_write_bytes", "net_recv_bytes", "net_sent_bytes")
CPU_SHARES = {"cpu_busy": "cpu_percent", "cpu_iowait": "iowait_percent", "cpu_steal": "steal_percent"}


def measure(before: Look | None, now: Look, bounds_seconds: Sequence[float]) -> dict[str, float]:
    """By the names of `oatie_ops.performance.series`. ``bounds_seconds``: of the load's histogram."""
    seconds = now.at - before.at if before else 0.0
    values = {
        **_named("host", host(before.machine if before else Machine(), now.machine, seconds)),
        **_named("cgroup", group(before.group if before else Group(), now.group, seconds)),
    }
    processes = before.processes if before else {}
    own = now.processes.get(now.running.supervisor)
    if own is not None:
        values |= _named("supervisor", process(processes.get(now.running.supervisor), own, seconds))
    cores, rss, threads, known = 0.0, 0.0, 0.0, False
    for worker in now.running.workers:
        found = now.processes.get(worker.pid)
        if found is None:
            continue
        known = True
        one = process(processes.get(worker.pid), found, seconds)
        if worker.connections is not None:
            one["connections"] = worker.connections
        below = family(processes, now.processes, now.children.get(worker.pid, ()), seconds)
        values |= _named(f"worker.{worker.number}", {**one, **below})
        cores += (one.get("cpu_percent", 0.0) + below.get("children_cpu_percent", 0.0)) / 100
        rss += found.rss_bytes + below.get("children_rss_bytes", 0.0)
        threads += found.threads
    if now.running.load is not None:
        previous = before.running.load if before else None
        app = load(previous, now.running.load, seconds, bounds_seconds)
        if known:
            app |= {"rss_bytes": rss, "threads": threads}
            if seconds > 0:
                app["cpu_cores"] = cores
                if (done := app.get("completions_per_s", 0.0)) > 0:
                    app["cpu_seconds_per_request"] = cores / done
        values |= _named("app", app)
    return values


def host(before: Machine, now: Machine, seconds: float) -> dict[str, float]:
    values = dict(now.gauges)
    counters = {name: now.counters[name] for name in HOST_RATES if name in now.counters}
    for name, rate in rates(before.counters, counters, seconds).items():
        values[f"{name}_per_s"] = rate
    total = _counted(before.counters, now.counters, "cpu_total")
    if total:
        for counter, name in CPU_SHARES.items():
            used = _counted(before.counters, now.counters, counter)
            if used is not None:
                # iowait may go backwards (proc_stat(5)); a share is a share all the same.
                values[name] = min(100.0, 100.0 * used / total)
    return values


def group(before: Group, now: Group, seconds: float) -> dict[str, float]:
    values = dict(now.gauges)
    used = _counted(before.counters, now.counters, "cpu_seconds")
    if used is not None and seconds > 0:
        values["cpu_cores"] = used / seconds
        values["cpu_percent"] = 100.0 * used / seconds / now.gauges["cpu_limit_cores"]
    periods = _counted(before.counters, now.counters, "periods")
    throttled = _counted(before.counters, now.counters, "throttled")
    if periods and throttled is not None:
        values["throttled_percent"] = 100.0 * throttled / periods
    return values


def process(before: Process | None, now: Process, seconds: float) -> dict[str, float]:
    values = {"rss_bytes": now.rss_bytes, "threads": now.threads}
    if now.fds is not None:
        values["fds"] = now.fds
    if before is None or before.born != now.born or seconds <= 0:
        return values
    pairs = (
        ("cpu_percent", before.cpu_seconds, now.cpu_seconds, 100.0),
        ("read_bytes_per_s", before.read_bytes, now.read_bytes, 1.0),
        ("write_bytes_per_s", before.write_bytes, now.write_bytes, 1.0),
    )
    for name, old, new, scale in pairs:
        if old is not None and new is not None and (counted := delta(old, new)) is not None:
            values[name] = scale * counted / seconds
    return values


def family(
    before: Mapping[int, Process], now: Mapping[int, Process], pids: Iterable[int], seconds: float
) -> dict[str, float]:
    """Of what a worker started; nothing where it started nothing."""
    found = [(before.get(pid), now[pid]) for pid in pids if pid in now]
    if not found:
        return {}
    each = [process(old, new, seconds) for old, new in found]
    return {
        "children": len(each),
        "children_rss_bytes": sum(one["rss_bytes"] for one in each),
        "children_cpu_percent": sum(one.get("cpu_percent", 0.0) for one in each),
    }


def load(before: Load | None, now: Load, seconds: float, bounds_seconds: Sequence[float]) -> dict[str, float]:
    """What began is what ended plus what was added to those in service (conservation of requests).

    Concurrency by Little's law from the mean service time of what was timed; where nothing was timed it is
    what is in service at the moment.
    """
    values: dict[str, float] = {"workers": now.workers}
    if now.accept_queue is not None:
        values["accept_queue"] = now.accept_queue
    if now.requests is None:
        return values
    values |= {"in_flight": now.in_flight, "connections": now.connections, "concurrency": now.in_flight}
    done = None
    if before is not None and before.requests is not None and seconds > 0:
        done = delta(before.requests, now.requests)
    if before is None or done is None:
        return values
    values["completions_per_s"] = done / seconds
    values["arrivals_per_s"] = max(0.0, (done + now.in_flight - before.in_flight) / seconds)
    values["errors_per_s"] = (delta(before.errors, now.errors) or 0.0) / seconds
    timed = [new - old for old, new in zip(before.buckets, now.buckets, strict=False)]
    count = sum(timed)
    if count > 0 and min(timed) >= 0:
        mean = max(0.0, now.busy_seconds - before.busy_seconds) / count
        values["service_seconds"] = mean
        values["service_p95_seconds"] = quantile(timed, bounds_seconds)
        values["concurrency"] = mean * done / seconds
    return values


def quantile(counts: Sequence[int], bounds: Sequence[float], share: float = PERCENTILE) -> float:
    """Of a histogram, interpolated within the bucket; the last bound for what lies beyond it."""
    need, seen, lower = share * sum(counts), 0.0, 0.0
    for count, upper in zip(counts, bounds, strict=False):
        if seen + count >= need and count:
            return lower + (upper - lower) * (need - seen) / count
        seen, lower = seen + count, upper
    return bounds[-1]


def _counted(before: Mapping[str, float], now: Mapping[str, float], name: str) -> float | None:
    if name not in before or name not in now:
        return None
    return delta(before[name], now[name])


def _named(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}.{name}": value for name, value in values.items()}
