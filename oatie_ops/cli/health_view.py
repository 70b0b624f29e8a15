"""What a watcher chose to see, and what a key changes about it. Pure: keys in, a new view out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oatie_ops.health.model import Status

SORTS = ("state", "name", "latency", "uptime")
UP, DOWN, ENTER, ESCAPE, BACKSPACE = "up", "down", "enter", "escape", "backspace"

KEYS = (
    ("q", "quit"),
    ("?", "this help"),
    ("/", "show only services with these letters (Enter keeps, Esc ends)"),
    ("s", "sort by the next: state, name, latency, uptime"),
    ("f", "failures only: hide what is healthy"),
    ("p", "pause, and go on"),
    ("j k", "down and up, as the arrow keys"),
    ("r", "restart the marked service (asks first)"),
)

_SEQUENCES = {
    "\x1b[A": UP,
    "\x1bOA": UP,
    "\x1b[B": DOWN,
    "\x1bOB": DOWN,
    "\r": ENTER,
    "\n": ENTER,
    "\x7f": BACKSPACE,
    "\x08": BACKSPACE,
    "\x1b": ESCAPE,
}


@dataclass(frozen=True)
class View:
    """``asking``: the service whose restart waits for a yes. ``message``: what the last act came to."""

    sort: str = SORTS[0]
    faults_only: bool = False
    filter: str = ""
    typing: bool = False
    help: bool = False
    paused: bool = False
    marked: str = ""
    asking: str = ""
    message: str = ""


@dataclass(frozen=True)
class Act:
    """What a key asks the outside world for: ``quit``, ``refresh`` or ``restart`` of a service."""

    kind: str
    service: str = ""


def decode(data: str) -> list[str]:
    """Keys out of what a terminal sent; sequences that mean nothing here are dropped whole."""
    keys = []
    while data:
        if data in _SEQUENCES:
            found = data
        elif data.startswith(("\x1b[", "\x1bO")):
            end = next((i for i, c in enumerate(data[2:], 3) if "@" <= c <= "~"), len(data))
            found = data[:end]
        else:
            found = data[0]
        data = data[len(found) :]
        key = _SEQUENCES.get(found, found if len(found) == 1 and found.isprintable() else "")
        if key:
            keys.append(key)
    return keys


def press(view: View, key: str, names: Sequence[str]) -> tuple[View, Act | None]:
    """``names``: the services on the screen, in their order."""
    view = replace(view, message="")
    if view.asking:
        act = Act("restart", view.asking) if key in "yY" else None
        said = "" if act else f"{view.asking} was not restarted"
        return replace(view, asking="", message=said), act
    if view.typing:
        return _type(view, key), None
    match key:
        case "q":
            return view, Act("quit")
        case "?":
            return replace(view, help=not view.help), None
        case "escape":
            return replace(view, help=False, filter=""), None
        case "/":
            return replace(view, typing=True, filter="", help=False), None
        case "s":
            return replace(view, sort=SORTS[(SORTS.index(view.sort) + 1) % len(SORTS)]), None
        case "f":
            return replace(view, faults_only=not view.faults_only), None
        case "p":
            return replace(view, paused=not view.paused), Act("refresh") if view.paused else None
        case "j" | "down" | "k" | "up":
            return replace(view, marked=_step(view.marked, names, 1 if key in ("j", "down") else -1)), None
        case "r":
            wanted = view.marked if view.marked in names else ""
            said = "" if wanted else "mark a service first, with j and k"
            return replace(view, asking=wanted, message=said), None
    return view, None


def _type(view: View, key: str) -> View:
    if key == ENTER:
        return replace(view, typing=False)
    if key == ESCAPE:
        return replace(view, typing=False, filter="")
    if key == BACKSPACE:
        return replace(view, filter=view.filter[:-1])
    return replace(view, filter=view.filter + key) if len(key) == 1 else view


def _step(marked: str, names: Sequence[str], step: int) -> str:
    if not names:
        return ""
    if marked not in names:
        return names[0] if step > 0 else names[-1]
    return names[max(0, min(len(names) - 1, names.index(marked) + step))]


def arrange(services: Mapping[str, Any], view: View) -> list[str]:
    """The names to show, in the chosen order; equals keep the order of the file."""
    wanted = view.filter.lower()
    names = [
        name
        for name, service in services.items()
        if wanted in name.lower() and not (view.faults_only and service["status"] == "pass")
    ]
    match view.sort:
        case "name":
            names.sort()
        case "latency":
            names.sort(key=lambda name: -(services[name]["latency"]["p95_seconds"] or 0.0))
        case "uptime":
            names.sort(key=lambda name: _uptime(services[name]))
        case _:
            names.sort(key=lambda name: _urgency(services[name]))
    return names


def _uptime(service: Mapping[str, Any]) -> float:
    share = service["uptime"]["day"]
    return 1.0 if share is None else float(share)


def _urgency(service: Mapping[str, Any]) -> tuple[bool, int, bool]:
    """Causes before what follows from them; what is under maintenance last."""
    severity = Status(service["status"]).severity
    return (bool(service["maintenance"]), -severity, bool(service["consequence_of"]))
