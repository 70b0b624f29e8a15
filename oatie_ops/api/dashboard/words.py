"""Numbers and moments as people read them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from oatie_ops.api.dashboard.templates import Html
from oatie_ops.health.words import SYMBOLS, WORDS

MINUTE, HOUR, DAY = 60, 3600, 86_400
NO_FIGURE = "–"
_CODE = re.compile(r"`([^`]+)`")
_AGE = re.compile(r'data-at="([0-9.-]+)" data-form="(\w+)">(?=</time>)')


def duration(seconds: float | None) -> str:
    """In at most two units: ``12s``, ``4m 10s``, ``3h 5m``, ``2d 1h``."""
    if seconds is None:
        return NO_FIGURE
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole}s"
    if whole < HOUR:
        return f"{whole // MINUTE}m {whole % MINUTE}s"
    if whole < DAY:
        return f"{whole // HOUR}h {whole % HOUR // MINUTE}m"
    return f"{whole // DAY}d {whole % DAY // HOUR}h"


def latency(seconds: float | None) -> str:
    if seconds is None:
        return NO_FIGURE
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def percent(share: float | None) -> str:
    """Of a share from 0 to 1. Only what was up all the time is 100 %."""
    if share is None:
        return NO_FIGURE
    if share >= 1:
        return "100 %"
    return f"{min(99.99, share * 100):.2f} %"


def uptimes(uptime: Mapping[str, Any]) -> str:
    """``1h 100 % · 24h 99.95 %``. A span is told once more than the next shorter one is known: a minute of
    looking is no week of 100 %."""
    known = uptime["known_seconds"]
    spans = ((0, "1h", uptime["hour"]), (HOUR, "24h", uptime["day"]), (DAY, "7d", uptime["week"]))
    return " · ".join(
        f"{span} {percent(share)}" for over, span, share in spans if share is not None and known > over
    )


def amount(value: float | None, digits: int = 1) -> str:
    if value is None:
        return NO_FIGURE
    return f"{value:.{digits}f}" if abs(value) < 100 else f"{value:.0f}"


def size(bytes_: float | None, per: str = "") -> str:
    if bytes_ is None:
        return NO_FIGURE
    value = float(bytes_)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}{per}" if unit == "B" else f"{value:.1f} {unit}{per}"
        value /= 1000
    return f"{value:.1f} TB{per}"


def epoch(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def clock(at: float, now: float) -> str:
    """The time of day, with the date where it was not within the last 20 hours; UTC."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.strftime("%H:%M:%S" if now - at < 20 * HOUR else "%d %b %H:%M")


def ago(at: float | None, form: str = "ago") -> Html:
    """A moment whose age is filled in by `aged`, or by the script of the page, which keeps it fresh.

    ``form``: "ago" or "for". The HTML stays the same as long as the moment does.
    """
    if at is None:
        return Html(NO_FIGURE)
    iso = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Html(f'<time datetime="{iso}" title="{iso}" data-at="{at:.3f}" data-form="{form}"></time>')


def aged(html: str, now: float) -> Html:
    """Fills the ages in that `ago` left open."""

    def fill(found: re.Match[str]) -> str:
        text = duration(now - float(found[1]))
        return f"{found[0]}{text} ago" if found[2] == "ago" else f"{found[0]}{text}"

    return Html(_AGE.sub(fill, html))


def marked(text: str) -> Html:
    """Escaped; what stands between two backticks is code."""
    return Html(_CODE.sub(r"<code>\1</code>", escape(text)))


def state(status: str, word: str = "") -> Html:
    """Shape, word and colour."""
    shape = f'<span class="shape" aria-hidden="true">{SYMBOLS[status]}</span>'
    return Html(f'<span class="state {escape(status)}">{shape} {escape(word or WORDS[status])}</span>')
