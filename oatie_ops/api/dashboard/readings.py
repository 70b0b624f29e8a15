"""What the sampler measured of the machine and of the application's load, as parts of a frame."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oatie_ops.api.dashboard.frame import Part, known, unknown
from oatie_ops.performance.buckets import History, coarser
from oatie_ops.performance.measured import Measured
from oatie_ops.scaling.recommendation import Advice

HOUR_SECONDS, MINUTE_SECONDS = 3600, 60
# Until the hour has so many minutes, the last minutes are shown instead, in shorter buckets.
ENOUGH_MINUTES = 10
SHORT_SECONDS, SHORT_FACTOR = 300, 5
STALE_SECONDS = 15.0

HOST = (
    "cpu_percent",
    "memory_percent",
    "memory_used_bytes",
    "disk_percent",
    "disk_free_bytes",
    "disk_read_bytes_per_s",
    "disk_write_bytes_per_s",
    "net_recv_bytes_per_s",
    "net_sent_bytes_per_s",
    "load1",
)
# The limits of a container go before the host's.
LIMITED = frozenset({"cpu_percent", "memory_percent", "memory_used_bytes"})
APP = (
    "arrivals_per_s",
    "completions_per_s",
    "errors_per_s",
    "service_seconds",
    "service_p95_seconds",
    "in_flight",
    "concurrency",
    "workers",
)
DRAWN = {
    "host": ("cpu_percent", "memory_percent", *HOST[5:9]),
    "cgroup": ("cpu_percent", "memory_percent"),
    "app": ("completions_per_s", "errors_per_s", "service_p95_seconds", "service_seconds"),
}


def history(home: Path) -> Part:
    """Reads the disk. ``series`` by their whole names, as columns with None in the gaps."""
    from oatie_ops.performance.samples import Reader, samples_path

    names = [f"{group}.{name}" for group, found in DRAWN.items() for name in found]
    try:
        reader = Reader(samples_path(home), busy_timeout_seconds=2.0)
    except FileNotFoundError:
        return unknown("nothing was measured yet")
    with reader:
        found = reader.histories(names, HOUR_SECONDS, step_seconds=MINUTE_SECONDS)
        if max(len(one) - one.gaps for one in found.values()) < ENOUGH_MINUTES:
            short = reader.histories(names, SHORT_SECONDS, step_seconds=1)
            found = {name: coarser(one, SHORT_FACTOR) for name, one in short.items()}
    first = next(iter(found.values()))
    columns = {name: column(one) for name, one in found.items() if one.gaps < len(one)}
    return known({"start": first.start, "step_seconds": first.step_seconds, "series": columns})


def resources(measured: Measured | None, past: Part, now: Callable[[], float] = time.time) -> Part:
    if (why := _why_unknown(measured, now())) or measured is None:
        return unknown(why)
    values = measured.values
    grouped = "cgroup.memory_percent" in values or "cgroup.cpu_limit_cores" in values
    found: dict[str, Any] = {"at": measured.at, "scope": "cgroup" if grouped else "host"}
    for name in HOST:
        group = "cgroup" if name in LIMITED and f"cgroup.{name}" in values else "host"
        found[name] = _value(values, f"{group}.{name}")
    return known(found | {"history": _past(past, ("cgroup", "host"))})


def traffic(measured: Measured | None, past: Part, now: Callable[[], float] = time.time) -> Part:
    if (why := _why_unknown(measured, now())) or measured is None:
        return unknown(why)
    found = {name: _value(measured.values, f"app.{name}") for name in APP}
    if all(value is None for value in found.values()):
        return unknown("the application's requests are not counted")
    errors, done = found["errors_per_s"], found["completions_per_s"]
    ratio = min(1.0, (errors or 0.0) / done) if done else None
    return known({"at": measured.at, **found, "error_ratio": ratio, "history": _past(past, ("app",))})


def scaling(advice: Advice) -> Part:
    """What to change; where nothing is recommended, what is lacking to know more."""
    items = [
        {
            "title": one.title,
            "text": one.action or one.description,
            "evidence": f"{one.evidence.window}; confidence {one.confidence}",
            "priority": one.priority,
        }
        for one in advice.recommendations
    ]
    if not items:
        lacking = next((one for one in advice.unknown if one.type == "workers"), None)
        lacking = lacking or next(iter(advice.unknown), None)
        return unknown(f"{lacking.reason}; {lacking.needs}" if lacking else "nothing was measured yet")
    missing = ", ".join(one.type for one in advice.unknown)
    return known({"grade": advice.grade, "window": advice.window, "items": items, "missing": missing})


def column(history: History) -> list[float | None]:
    return [
        float(f"{mean:.4g}") if count and not math.isnan(mean) else None
        for count, mean in zip(history.counts, history.means, strict=True)
    ]


def _past(past: Part, groups: Sequence[str]) -> dict[str, Any] | None:
    """The first of ``groups`` that has a series goes before the others."""
    if not past["known"]:
        return None
    series: dict[str, Any] = {}
    for group in reversed(groups):
        series |= {
            name.partition(".")[2]: values
            for name, values in past["series"].items()
            if name.startswith(f"{group}.")
        }
    return {"start": past["start"], "step_seconds": past["step_seconds"], "series": series}


def _why_unknown(measured: Measured | None, now: float) -> str:
    if measured is None or not measured.values:
        return "nothing was measured yet"
    if now - measured.at > STALE_SECONDS:
        return f"nothing was measured for {now - measured.at:.0f} s"
    return ""


def _value(values: Mapping[str, float], name: str) -> float | None:
    value = values.get(name)
    return None if value is None or math.isnan(value) else float(f"{value:.6g}")
