"""The trends of the last hours: the series that an operator asks for, and what they mean."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from oatie_ops.performance import findings
from oatie_ops.performance.buckets import History
from oatie_ops.performance.findings import Finding
from oatie_ops.performance.samples import Reader
from oatie_ops.performance.series import meaning
from oatie_ops.performance.slope import Slope, theil_sen
from oatie_ops.performance.tiers import choose_step, floor_to
from oatie_ops.store.starts import Starts

MAX_HOURS = 366 * 24.0
SHOWN = (
    "host.cpu_percent",
    "host.memory_percent",
    "host.memory_used_bytes",
    "host.disk_free_bytes",
    "host.disk_percent",
    "host.disk_read_bytes_per_s",
    "host.disk_write_bytes_per_s",
    "host.net_recv_bytes_per_s",
    "host.net_sent_bytes_per_s",
    "host.pressure_cpu_percent",
    "host.pressure_memory_percent",
    "host.pressure_io_percent",
    "cgroup.cpu_percent",
    "cgroup.memory_percent",
    "cgroup.memory_used_bytes",
    "cgroup.throttled_percent",
    "supervisor.rss_bytes",
    "app.arrivals_per_s",
    "app.concurrency",
    "app.service_seconds",
    "app.errors_per_s",
    "app.cpu_cores",
    "app.rss_bytes",
)
OF_WORKERS = ("rss_bytes", "fds")
RECENT_STARTS = 100
KEPT = 3
SHM_HEADER_BYTES = 48


@dataclass
class Trend:
    """``slope`` None: too few points to say anything. It is computed when it is first asked for."""

    history: History

    @cached_property
    def slope(self) -> Slope | None:
        return theil_sen(self.history.points())

    def as_dict(self) -> dict[str, Any]:
        history, slope = self.history, self.slope
        known = meaning(history.series)
        return {
            "unit": known.unit if known else "",
            "count": list(history.counts),
            "min": _rounded(history.mins),
            "mean": _rounded(history.means),
            "max": _rounded(history.maxes),
            "p95": _rounded(history.p95s),
            "slope": None
            if slope is None
            else {
                "per_hour": _round(slope.per_hour),
                "low_per_hour": _round(slope.low),
                "high_per_hour": _round(slope.high),
                "certain": slope.certain,
            },
        }


@dataclass(frozen=True)
class Trends:
    """All series have the same times: bucket i begins at ``start + i * step_seconds`` (epoch)."""

    hours: float
    start: int
    step_seconds: int
    length: int
    series: Mapping[str, Trend] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def coverage(self) -> float:
        """The share of the time for which the machine was measured at all."""
        cpu = self.series.get("host.cpu_percent")
        return 1 - cpu.history.gaps / self.length if cpu and self.length else 0.0

    def as_dict(self) -> dict[str, Any]:
        """A gap is a count of 0 and null in the other columns."""
        return {
            "hours": self.hours,
            "start": self.start,
            "step_seconds": self.step_seconds,
            "buckets": self.length,
            "coverage": round(self.coverage, 4),
            "series": {name: trend.as_dict() for name, trend in self.series.items()},
            "findings": [finding.as_dict() for finding in self.findings],
        }

    @cached_property
    def json(self) -> bytes:
        """The same as text: thousands of numbers, which are written once for all who ask meanwhile."""
        return json.dumps(self.as_dict(), separators=(",", ":"), allow_nan=False).encode()


def read_trends(path: Path, hours: float, *, until: float | None = None) -> Trends:
    """Of the file at ``path``; empty where nothing was ever measured. Raises `StoreError`.

    What was read is given again until something is written to the file or the next bucket is complete.
    """
    now = time.time() if until is None else until
    step = choose_step(hours * 3600)
    end = floor_to(now, step)
    try:
        key = (path, hours, end, _state_of(path))
        if (found := _KEPT.get(key)) is None:
            with Reader(path) as reader:
                found = _trends(reader, hours, now)
            _KEPT.keep(key, found)
    except FileNotFoundError:
        return Trends(hours, floor_to(end - hours * 3600, step), step, 0)
    return found


Key = tuple[Path, float, int, tuple[object, ...]]


class _Kept:
    """The last few; asked from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trends: dict[Key, Trends] = {}

    def get(self, key: Key) -> Trends | None:
        with self._lock:
            return self._trends.get(key)

    def keep(self, key: Key, trends: Trends) -> None:
        with self._lock:
            self._trends[key] = trends
            while len(self._trends) > KEPT:
                del self._trends[next(iter(self._trends))]

    def clear(self) -> None:
        with self._lock:
            self._trends.clear()


_KEPT = _Kept()


def _state_of(path: Path) -> tuple[object, ...]:
    """Is another one after every write. Raises `FileNotFoundError`.

    The head of the index of SQLite's write-ahead log counts transactions (sqlite.org/walformat.html, 2.1);
    where there is none, nobody has the file open, and the file itself says when it was written.
    """
    file = path.stat()
    try:
        with path.with_name(f"{path.name}-shm").open("rb", buffering=0) as index:
            counted = index.read(SHM_HEADER_BYTES)
    except OSError:
        counted = b""
    return file.st_ino, file.st_size, file.st_mtime_ns, counted


def _trends(reader: Reader, hours: float, now: float) -> Trends:
    known = reader.names()
    of_workers = [n for n in known if n.startswith("worker.") and n.rpartition(".")[2] in OF_WORKERS]
    wanted = [name for name in SHOWN if name in set(known)] + of_workers
    histories = reader.histories(wanted or SHOWN[:1], hours * 3600, until=now)
    found = {n: h for n, h in histories.items() if h.gaps < len(h)}
    first = next(iter(histories.values()))
    return Trends(
        hours,
        first.start,
        first.step_seconds,
        len(first),
        {name: Trend(history) for name, history in found.items()},
        tuple(_findings(found, _born(reader, of_workers), now)),
    )


def _findings(found: Mapping[str, History], born: Mapping[str, float], now: float) -> Iterable[Finding]:
    name = "host.disk_free_bytes"
    yield from _some(findings.disk_full(_points(found, name), name, "of .oatie"))
    if "cgroup.memory_used_bytes" in found:
        yield from _some(_memory("cgroup", "the control group", found))
    else:
        yield from _some(_memory("host", "this machine", found))
    for name in found:
        group, _, rest = name.partition(".")
        number, _, what = rest.partition(".")
        if group != "worker" or number not in born:
            continue
        points = _points(found, name)
        # A number whose last points are old belongs to a worker that is gone.
        if points[-1][0] < now - 2 * found[name].step_seconds:
            continue
        judge = findings.leak if what == "rss_bytes" else findings.fd_leak
        yield from _some(judge(points, name, f"worker {number}", born=born[number]))


def _points(found: Mapping[str, History], name: str) -> findings.Points:
    return found[name].points() if name in found else ()


def _memory(group: str, whose: str, found: Mapping[str, History]) -> Finding | None:
    used, percent = (_points(found, f"{group}.{name}") for name in ("memory_used_bytes", "memory_percent"))
    if not used or not percent or percent[-1][1] <= 0:
        return None
    limit = 100.0 * used[-1][1] / percent[-1][1]
    return findings.memory_full(used, f"{group}.memory_used_bytes", limit, whose)


def _born(reader: Reader, names: Iterable[str]) -> dict[str, float]:
    """By number of the worker, when the process that has it now began to serve."""
    if not list(names):
        return {}
    found: dict[str, float] = {}
    for row in Starts(reader.file).latest(kind="worker", limit=RECENT_STARTS):
        found.setdefault(str(row.data.get("facts", {}).get("worker", "")), row.at)
    return found


def _some(finding: Finding | None) -> Iterable[Finding]:
    return () if finding is None else (finding,)


def _rounded(values: Iterable[float]) -> list[float | None]:
    return [None if value != value else _round(value) for value in values]  # noqa: PLR0124 - NaN


def _round(value: float) -> float:
    """To six digits: what a 32-bit float holds."""
    return float(f"{value:.6g}")
