"""The tiles of figures with their history: what the application does, and what the machine has left. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from oatie_ops.api.dashboard import charts, words
from oatie_ops.api.dashboard.templates import Html, render

Part = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    value: str
    unit: str
    note: str


@dataclass(frozen=True)
class Line:
    """One line of a chart: the series of the part's history, and how the script writes its values."""

    label: str
    series: str


@dataclass(frozen=True)
class Tile:
    """``unit``: percent, bytes, rate or seconds."""

    id: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    html: Html
    history: Mapping[str, Any] | None

    @property
    def span(self) -> str:
        if not self.history:
            return ""
        values = next(iter(self.history["series"].values()), ())
        minutes = round(len(values) * self.history["step_seconds"] / words.MINUTE)
        return f"last {minutes} minutes" if minutes != 60 else "last hour"

    @property
    def svg(self) -> Html:
        if not self.history or self.lines[0].series not in self.history["series"]:
            return Html("")
        label = f"{self.title}, {self.span}"
        values = self.history["series"][self.lines[0].series]
        top = 100.0 if self.unit == "percent" else 0.0
        return charts.sparkline(values, width=280, height=72, top=top, label=label)


def tiles(frame: Mapping[str, Any]) -> list[Tile]:
    return [*app_tiles(frame["traffic"]), *resource_tiles(frame["resources"])]


def app_tiles(part: Part) -> Iterator[Tile]:
    get, ratio = part.get, part.get("error_ratio")
    in_flight = get("in_flight")
    rate = Figure(
        words.amount(get("completions_per_s")),
        "/s",
        "" if in_flight is None else f"{in_flight:.0f} in flight",
    )
    yield _tile(part, ("rate", "Requests", "rate"), {"requests/s": "completions_per_s"}, rate)
    errors = Figure(
        words.NO_FIGURE if ratio is None else words.percent(ratio).removesuffix(" %"),
        "% of requests",
        f"{words.amount(get('errors_per_s'), 2)} answers of 500 and above a second",
    )
    yield _tile(part, ("errors", "Errors", "rate"), {"errors/s": "errors_per_s"}, errors)
    latency = Figure(
        words.latency(get("service_p95_seconds")), "p95", f"mean {words.latency(get('service_seconds'))}"
    )
    lines = {"p95": "service_p95_seconds", "mean": "service_seconds"}
    yield _tile(part, ("latency", "Latency", "seconds"), lines, latency)


def resource_tiles(part: Part) -> Iterator[Tile]:
    get = part.get
    where = "of the container's limit" if get("scope") == "cgroup" else "of all cores"
    load = _also(", load ", words.amount(get("load1"), 2))
    cpu = Figure(words.amount(get("cpu_percent")), "%", f"{where}{load}")
    yield _tile(part, ("cpu", "CPU", "percent"), {"CPU": "cpu_percent"}, cpu)
    memory = Figure(words.amount(get("memory_percent")), "%", f"{words.size(get('memory_used_bytes'))} used")
    yield _tile(part, ("memory", "Memory", "percent"), {"memory": "memory_percent"}, memory)
    written, read = (words.size(get(f"disk_{way}_bytes_per_s"), "/s") for way in ("write", "read"))
    free = _also(" · free ", words.size(get("disk_free_bytes")))
    disk = Figure(words.amount(get("disk_percent")), "% full", f"write {written} · read {read}{free}")
    lines = {"written/s": "disk_write_bytes_per_s", "read/s": "disk_read_bytes_per_s"}
    yield _tile(part, ("disk", "Disk", "bytes"), lines, disk)
    value, _, unit = words.size(get("net_recv_bytes_per_s"), "/s in").partition(" ")
    sent = words.size(get("net_sent_bytes_per_s"), "/s")
    lines = {"in/s": "net_recv_bytes_per_s", "out/s": "net_sent_bytes_per_s"}
    network = Figure(value, unit, f"out {sent}, loopback left out")
    yield _tile(part, ("network", "Network", "bytes"), lines, network)


def _tile(part: Part, kind: tuple[str, str, str], lines: Mapping[str, str], figure: Figure) -> Tile:
    """``kind``: id, title and unit."""
    id_, title, unit = kind
    made = tuple(Line(label, name) for label, name in lines.items())
    return Tile(id_, title, unit, made, _value(part["known"], part["why"], figure), part.get("history"))


@lru_cache(maxsize=64)
def _value(known: bool, why: str, figure: Figure) -> Html:
    """Kept: each frame asks for the same ones several times, for each kind of reader and for the charts."""
    return render("tile_value", {"known": known, "why": why, **figure.__dict__})


def series(frame: Mapping[str, Any]) -> dict[str, Any]:
    """For the charts of the script: what the tiles draw, as columns."""
    return {
        tile.id: {
            "unit": tile.unit,
            "start": tile.history["start"],
            "step": tile.history["step_seconds"],
            "span": tile.span,
            "lines": [
                {"label": line.label, "values": tile.history["series"].get(line.series, [])}
                for line in tile.lines
            ],
        }
        for tile in tiles(frame)
        if tile.history
    }


def _also(before: str, text: str) -> str:
    return "" if text == words.NO_FIGURE else f"{before}{text}"
