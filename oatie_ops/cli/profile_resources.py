"""``oatie profile --resources``: what is used, how it develops, and what that means, on a terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from oatie_ops.cli.context import Context
from oatie_ops.cli.human import age
from oatie_ops.cli.output import emit, emit_json, emit_json_line, emit_report, paint, use_animation
from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.supervisor.client import ControlClient, NotRunning

SCHEMA = "oatie.resources/v1"
TIMEOUT_SECONDS = 10.0
WATCH_SECONDS = 2.0
CLEAR = "\x1b[H\x1b[J"
SPARKS, ASCII_SPARKS, GAP = "▁▂▃▄▅▆▇█", "_.-=+*%#", " "
LABEL, VALUES = 24, 34

# What is drawn, in this order: (series, label, how its values are written).
Shown = tuple[str, str, Callable[[float], str]]


def _percent(value: float) -> str:
    return f"{value:.1f} %"


def _bytes(value: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"


def _rate(value: float) -> str:
    return f"{_bytes(value)}/s"


def _number(value: float) -> str:
    return f"{value:.3g}"


def _time(value: float) -> str:
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


SERIES: tuple[Shown, ...] = (
    ("cgroup.cpu_percent", "container cpu", _percent),
    ("cgroup.memory_percent", "container memory", _percent),
    ("cgroup.throttled_percent", "container throttled", _percent),
    ("host.cpu_percent", "cpu", _percent),
    ("host.memory_percent", "memory", _percent),
    ("host.disk_percent", "disk", _percent),
    ("host.disk_read_bytes_per_s", "disk read", _rate),
    ("host.disk_write_bytes_per_s", "disk write", _rate),
    ("host.net_recv_bytes_per_s", "net received", _rate),
    ("host.net_sent_bytes_per_s", "net sent", _rate),
    ("host.pressure_cpu_percent", "pressure cpu", _percent),
    ("host.pressure_memory_percent", "pressure memory", _percent),
    ("host.pressure_io_percent", "pressure io", _percent),
    ("app.arrivals_per_s", "requests/s", _number),
    ("app.errors_per_s", "5xx/s", _number),
    ("app.service_seconds", "service time", _time),
    ("app.concurrency", "concurrency", _number),
    ("app.cpu_cores", "app cores", _number),
    ("app.rss_bytes", "app memory", _bytes),
    ("supervisor.rss_bytes", "supervisor memory", _bytes),
)


def show(hours: float, *, watch: bool, as_json: bool) -> int:
    """Exits 3 where something is found that runs out or leaks."""
    context = Context()
    while True:
        current, trends = fetch(context, hours)
        document = {"schema": SCHEMA, "current": current, "trends": trends}
        if as_json:
            (emit_json_line if watch else emit_json)(document)
        else:
            lines = render(current, trends)
            live = watch and use_animation(sys.stdout)
            if live:
                sys.stdout.write(CLEAR)
            (emit if live else emit_report)("\n".join(lines))
        if not watch:
            return ExitCode.DEGRADED if trends["findings"] else ExitCode.OK
        time.sleep(WATCH_SECONDS)


def fetch(context: Context, hours: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the running supervisor; without one what a look finds, and what was measured before."""
    client = ControlClient(context.paths.control_socket)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            return (
                client.call("GET", "/api/performance/resources/current", timeout_seconds=TIMEOUT_SECONDS),
                client.call("GET", f"/api/performance/resources/trends?hours={hours:g}"),
            )
        except NotRunning:
            return _look(context.paths.home, hours)
        except OatieError:
            # A supervisor that has just started has measured nothing yet.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _look(home: Path, hours: float) -> tuple[dict[str, Any], dict[str, Any]]:
    from oatie_ops.performance.monitor import glance
    from oatie_ops.performance.readings import Running
    from oatie_ops.performance.samples import samples_path
    from oatie_ops.performance.trends import read_trends
    from oatie_ops.performance.usage import usage_of

    disk = home if home.is_dir() else Path.cwd()
    usage = usage_of(glance(Running(os.getpid()), disk))
    return usage.as_dict(), read_trends(samples_path(home), hours).as_dict()


def render(current: Mapping[str, Any], trends: Mapping[str, Any]) -> Iterator[str]:
    own = current["own_cpu_percent"]
    measured = "no supervisor measures here" if own is None else f"measuring costs {own:.2f} % of a core"
    whose = "of the container's limits" if current["scope"] == "cgroup" else "of this machine"
    yield (
        f"cpu {_known(current['cpu_percent'])} %, memory {_known(current['memory_percent'])} % {whose};"
        f" {_known(current['active_connections'])} connections, {_known(current['thread_count'])} threads;"
        f" {measured}"
    )
    covered = trends["coverage"]
    step, span = age(trends["step_seconds"]), age(trends["hours"] * 3600)
    yield f"last {span}, a bucket is {step}, {100 * covered:.0f} % of the time measured"
    yield ""
    if not trends["series"]:
        yield (
            "nothing was measured in this time; a running supervisor measures (`oatie start`)"
            if own is None
            else "the first minute is not over yet"
        )
        return
    width = max(10, min(72, shutil.get_terminal_size((80, 24)).columns - LABEL - VALUES))
    yield f"{'':<{LABEL}}{'':<{width}} {'min':>8} {'mean':>8} {'max':>8}"
    for name, label, shown in (*SERIES, *_workers(trends["series"])):
        columns = trends["series"].get(name)
        if columns is not None and (line := _line(label, columns, shown, width)):
            yield line
    yield ""
    yield from _findings(trends["findings"])


def _workers(series: Mapping[str, Any]) -> Iterator[Shown]:
    for name in sorted(series):
        group, _, rest = name.partition(".")
        number, _, what = rest.partition(".")
        if group == "worker" and what == "rss_bytes":
            yield name, f"worker {number} memory", _bytes


def _line(label: str, columns: Mapping[str, Any], shown: Callable[[float], str], width: int) -> str:
    means = [value for value in columns["mean"] if value is not None]
    if not means:
        return ""
    lows = [value for value in columns["min"] if value is not None]
    highs = [value for value in columns["max"] if value is not None]
    total = sum(columns["count"])
    mean = sum(c * m for c, m in zip(columns["count"], columns["mean"], strict=True) if c) / total
    values = " ".join(f"{shown(value):>8}" for value in (min(lows), mean, max(highs)))
    return f"{label:<{LABEL}}{sparkline(columns['mean'], width)} {values}"


def sparkline(values: Sequence[float | None], width: int) -> str:
    """From 0 to the highest; the newest on the right; what was not measured stays blank."""
    cells = _cells(values, width)
    top = max((value for value in cells if value is not None), default=0.0)
    marks = _marks()
    return "".join(
        GAP if value is None else marks[min(len(marks) - 1, int(value / top * len(marks)) if top > 0 else 0)]
        for value in cells
    )


def _cells(values: Sequence[float | None], width: int) -> list[float | None]:
    """The mean of each cell's share of the values; at least one value a cell."""
    n = len(values)
    if n <= width:
        return [None] * (width - n) + list(values)
    cells: list[float | None] = []
    for i in range(width):
        part = [v for v in values[i * n // width : (i + 1) * n // width] if v is not None]
        cells.append(sum(part) / len(part) if part else None)
    return cells


def _findings(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not found:
        yield "no trend that would run out of anything"
    for finding in found:
        style = "red" if finding["severity"] == "fail" else "yellow"
        yield paint(finding["message"], style, sys.stdout)


def _known(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _marks() -> str:
    with contextlib.suppress(UnicodeEncodeError, LookupError):
        SPARKS.encode(sys.stdout.encoding or "ascii")
        return SPARKS
    return ASCII_SPARKS
