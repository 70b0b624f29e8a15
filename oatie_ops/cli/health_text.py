"""What ``oatie health`` prints for people: the verdict with its worst cause, then every check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oatie_ops.cli.human import age, table
from oatie_ops.cli.output import paint
from oatie_ops.health.words import PLAIN_SYMBOLS, SEVERITY, SYMBOLS, WORDS, verdict

COLUMNS = ("STATE", "SERVICE", "CHECK", "FOR", "FINDING")
STYLES = {"pass": "green", "warn": "yellow", "unknown": "yellow", "fail": "red"}

Health = Mapping[str, Any]


def render(health: Health, stream: Any) -> list[str]:
    """Lines for people: the verdict with its worst cause, then every check, the worst first."""
    word = f"{symbol(health['status'], stream)} {verdict(health['status'], health['services'])}"
    headline = paint(word, STYLES[health["status"]], stream)
    if health["cause"]:
        headline += f"  {health['cause']}"
    checks = [
        (name, check_name, check, service)
        for name, service in health["services"].items()
        for check_name, check in service["checks"].items()
    ]
    checks.sort(key=lambda item: -SEVERITY[item[2]["status"]])
    rows = [_row(*item, stream) for item in checks]
    head, *lines = table(COLUMNS, rows)
    painted = [
        paint(line[: len(row[0])], STYLES[item[2]["status"]], stream) + line[len(row[0]) :]
        for line, row, item in zip(lines, rows, checks, strict=True)
    ]
    return [headline, "", head, *painted, "", _footer(health)]


def state(status: str, stream: Any) -> str:
    return paint(f"{symbol(status, stream)} {WORDS[status]}", STYLES[status], stream)


def symbol(status: str, stream: Any) -> str:
    return (SYMBOLS if can_show(SYMBOLS[status], stream) else PLAIN_SYMBOLS)[status]


def can_show(text: str, stream: Any) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def remark(service: Health) -> str:
    """What overlays a service's status, in brackets; empty for most."""
    notes = []
    if service.get("maintenance"):
        notes.append(f"maintenance: {service['maintenance']['reason'] or 'no reason given'}")
    if switch := service.get("degraded"):
        notes.append(f"degraded by {switch['owner']}: {switch['reason'] or 'no reason given'}")
    if service.get("consequence_of"):
        notes.append(f"because of {service['consequence_of']}")
    if service.get("flapping"):
        notes.append("flapping")
    return f" [{'; '.join(notes)}]" if notes else ""


def _row(name: str, check_name: str, check: Health, service: Health, stream: Any) -> list[str]:
    shown = f"{symbol(check['status'], stream)} {WORDS[check['status']]}"
    return [shown, name, check_name, age(check["for_seconds"]), check["output"] + remark(service)]


def _footer(health: Health) -> str:
    if not health["supervised"]:
        return "no supervisor is running: the checks were run once, by this command"
    release = f"release {health['release']}, " if health["release"] else ""
    return f"{release}{health['state']}; as of {health['age_seconds']:.1f} s ago"
