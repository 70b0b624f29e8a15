"""One frame of ``oatie health --watch`` as lines that fit the terminal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from oatie_ops.cli.health_look import Look
from oatie_ops.cli.health_text import remark
from oatie_ops.cli.health_view import KEYS, View, arrange
from oatie_ops.cli.human import age
from oatie_ops.health.words import PLAIN_SYMBOLS, SYMBOLS, WORDS, verdict

STYLES: Mapping[str, str] = {"pass": "green", "warn": "yellow", "unknown": "yellow", "fail": "red"}
BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-=+*#@"
COMPACT_BELOW_COLUMNS = 60
SPARK_FROM_COLUMNS, NUMBERS_FROM_COLUMNS, EVENTS_FROM_LINES = 90, 72, 16
SPARK_CELLS = 12
MAX_NAME_CELLS = 24
MAX_EVENTS = 5
STALE_INTERVALS = 3.0


@dataclass(frozen=True)
class Screen:
    """``ascii_only``: the terminal's encoding has no shapes. ``interval_seconds``: between two looks."""

    columns: int
    lines: int
    ascii_only: bool = False
    interval_seconds: float = 2.0


def frame(look: Look | None, view: View, screen: Screen, now: float, *, leaving: bool = False) -> list[Text]:
    """The lines of the whole screen; ``leaving``: without the keys, to be left on the terminal."""
    if look is None:
        return _fit([Text("looking …" if not screen.ascii_only else "looking ...", "dim")], screen)
    head = [_banner(look, screen), _about(look, view, screen, now), Text("")]
    foot = [] if leaving else [_bottom(view, screen)]
    if view.help and not leaving:
        return _fit([*head, *(Text(f"  {key:<6}{meaning}") for key, meaning in KEYS)], screen, foot)
    if look.health is None:
        return _fit([*head, Text(look.why, "yellow")], screen, foot)
    names = arrange(look.health["services"], view)
    events = _events(look.health["services"], screen)
    room = screen.lines - len(head) - len(foot) - (len(events) + 1 if events else 0)
    if leaving:
        room = max(room, len(names) + 1)
    table = _table(look.health["services"], names, view, screen, room)
    return _fit([*head, *table, *([Text("")] if events else []), *events], screen, foot, cut=not leaving)


def _fit(lines: list[Text], screen: Screen, foot: Sequence[Text] = (), *, cut: bool = True) -> list[Text]:
    if cut:
        room = max(0, screen.lines - len(foot))
        lines = lines[:room]
        lines += [Text("")] * (room - len(lines) if foot else 0)
    shown = [*lines, *foot]
    for line in shown:
        line.no_wrap, line.overflow = True, "crop"
        line.truncate(screen.columns, overflow="crop" if screen.ascii_only else "ellipsis")
    return shown


def _banner(look: Look, screen: Screen) -> Text:
    status = look.status
    word = verdict(status, look.health["services"] if look.health else {})
    text = f" {_symbol(status, screen)} {word.upper()} "
    cause = look.why if look.health is None else str(look.health["cause"])
    return Text.assemble((text, f"bold reverse {STYLES[status]}"), ("  " + cause, f"bold {STYLES[status]}"))


def _about(look: Look, view: View, screen: Screen, now: float) -> Text:
    health = look.health or {}
    app = health.get("app") or {}
    parts = [str(app.get("name") or ""), str(app.get("url") or "")]
    if health.get("release"):
        parts.append(f"release {health['release']}")
    parts.append(
        str(health.get("state", "")) if health.get("supervised", True) else "no supervisor: checked here"
    )
    old = max(0.0, now - look.at) + float(health.get("age_seconds") or 0.0)
    stale = old > STALE_INTERVALS * screen.interval_seconds + 1.0
    parts.append(f"as of {age(old)} ago" if stale else f"every {screen.interval_seconds:g} s")
    if view.paused:
        parts.append("PAUSED")
    separator = " | " if screen.ascii_only else " · "
    return Text(separator.join(part for part in parts if part), "yellow" if stale else "dim")


def _bottom(view: View, screen: Screen) -> Text:
    if view.asking:
        return Text(f"restart {view.asking}? y/N", "bold yellow")
    if view.typing:
        return Text(f"/{view.filter}", "bold")
    if view.message:
        return Text(view.message, "bold")
    keys = "q quit  ? help  / filter  s sort  f failures  p pause  r restart"
    if screen.columns < NUMBERS_FROM_COLUMNS:
        keys = "q ? / s f p r"
    told = f"  sorted by {view.sort}" + (f"  /{view.filter}" if view.filter else "")
    return Text(keys + told + ("  failures only" if view.faults_only else ""), "dim")


def _table(
    services: Mapping[str, Any], names: Sequence[str], view: View, screen: Screen, room: int
) -> list[Text]:
    if not names:
        hidden = "nothing fails" if view.faults_only and not view.filter else "no service matches"
        return [Text(f"{hidden} ({len(services)} hidden)", "dim")]
    width = min(MAX_NAME_CELLS, max(cell_len(name) for name in names))
    width = max(width, len("SERVICE"))
    shown, left_out = _window(names, view.marked, room - 1)
    rows = [_row(name, services[name], width, view, screen) for name in shown]
    rest = [Text(f"  {left_out} more", "dim")] if left_out else []
    return [_heading(width, screen), *rows, *rest]


def _window(names: Sequence[str], marked: str, room: int) -> tuple[Sequence[str], int]:
    """As many names as there is room for, the marked one among them, and how many are left out."""
    if len(names) <= max(1, room):
        return names, 0
    size = max(1, room - 1)
    at = names.index(marked) if marked in names else 0
    first = max(0, min(at - size // 2, len(names) - size))
    return names[first : first + size], len(names) - size


def _heading(width: int, screen: Screen) -> Text:
    if screen.columns < COMPACT_BELOW_COLUMNS:
        return Text("")
    cells = [f"  {'STATE':<11}", f"{'SERVICE':<{width}}"]
    if screen.columns >= SPARK_FROM_COLUMNS:
        cells.append(f"{'LATENCY':<{SPARK_CELLS}}")
    if screen.columns >= NUMBERS_FROM_COLUMNS:
        cells += [f"{'P95':>7}", f"{'UPTIME':>7}"]
    return Text("  ".join([*cells, f"{'FOR':>6}", "FINDING"]), "bold")


def _row(name: str, service: Mapping[str, Any], width: int, view: View, screen: Screen) -> Text:
    status = service["status"]
    mark = ">" if name == view.marked else " "
    word = f"{_symbol(status, screen)} {WORDS[status]}"
    finding = service["output"] + remark(service)
    if screen.columns < COMPACT_BELOW_COLUMNS:
        return Text.assemble(mark, " ", (word, STYLES[status]), f" {name}: {finding}")
    cells: list[str | tuple[str, str]] = [f"{mark} ", (f"{word:<11}", STYLES[status]), "  "]
    cells.append((set_cell_size(name, width), "bold" if name == view.marked else ""))
    latency, share = service["latency"], service["uptime"]["day"]
    if screen.columns >= SPARK_FROM_COLUMNS:
        cells += ["  ", (sparkline(latency["recent_seconds"], screen), "cyan")]
    if screen.columns >= NUMBERS_FROM_COLUMNS:
        cells += ["  ", f"{duration(latency['p95_seconds']):>7}", "  ", f"{percent(share):>7}"]
    since = service["for_seconds"]
    cells += ["  ", f"{'-' if since is None else age(since):>6}", "  "]
    cells.append((finding, "dim" if status == "pass" else STYLES[status]))
    return Text.assemble(*cells)


def sparkline(values: Sequence[float], screen: Screen) -> str:
    """The newest values, oldest first, from 0 to the largest of them."""
    blocks = PLAIN_BLOCKS if screen.ascii_only else BLOCKS
    shown = list(values)[-SPARK_CELLS:]
    top = max(shown, default=0.0) or 1.0
    line = "".join(blocks[min(len(blocks) - 1, int(value / top * len(blocks)))] for value in shown)
    return f"{line:<{SPARK_CELLS}}"


def duration(seconds: float | None) -> str:
    """Three digits at the most."""
    if seconds is None:
        return "-"
    if seconds < 0.0995:
        return f"{seconds * 1000:.1f}ms"
    return f"{seconds * 1000:.0f}ms" if seconds < 0.9995 else f"{seconds:.2f}s"


def percent(share: float | None) -> str:
    """Never rounded up to 100: that would hide the one failure that matters."""
    if share is None:
        return "-"
    return "100%" if share >= 1.0 else f"{int(share * 10_000) / 100:.2f}%"


def _events(services: Mapping[str, Any], screen: Screen) -> list[Text]:
    if screen.lines < EVENTS_FROM_LINES:
        return []
    found = [(change["at"], name, change) for name, s in services.items() for change in s["transitions"]]
    found.sort(key=lambda item: item[0], reverse=True)
    arrow = "->" if screen.ascii_only else "→"
    lines = [
        Text.assemble(
            (f"  {_local(at)}  ", "dim"),
            (f"{name}: {WORDS[change['before']]} {arrow} {WORDS[change['after']]}", STYLES[change["after"]]),
            (f"  {change['output']}", "dim"),
        )
        for at, name, change in found[:MAX_EVENTS]
    ]
    return [Text("LAST EVENTS", "bold"), *lines] if lines else []


def _local(at: str) -> str:
    moment = (
        datetime.fromisoformat(at).replace(tzinfo=UTC) if at.endswith("Z") else datetime.fromisoformat(at)
    )
    return moment.astimezone().strftime("%m-%d %H:%M:%S")


def _symbol(status: str, screen: Screen) -> str:
    return (PLAIN_SYMBOLS if screen.ascii_only else SYMBOLS)[status]
