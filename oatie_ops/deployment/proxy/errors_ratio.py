"""How many answers Caddy passed on, and how many of them were 5xx: from its own metrics."""

from __future__ import annotations

import re

from oatie_ops.deployment.proxy.admin import Admin
from oatie_ops.errors import OatieError

_COUNT = re.compile(r"^caddy_http_request_duration_seconds_count\{([^}]*)\} ([0-9.e+]+)$", re.MULTILINE)
Answers = dict[str, float]


def answered(admin: Admin, server: str) -> Answers:
    """Answers of our own server by status; empty where Caddy does not count them: in a server that is not
    ours, nobody asked it to."""
    try:
        text = admin.metrics()
    except OatieError:
        return {}
    return counts(text, server)


def counts(text: str, server: str) -> Answers:
    """Our route is one subroute; what is inside of it Caddy does not count."""
    found: Answers = {}
    for labels, value in _COUNT.findall(text):
        known = dict(part.split("=", 1) for part in labels.split(",") if "=" in part)
        if known.get("handler") == '"subroute"' and known.get("server") == f'"{server}"':
            code = known.get("code", "").strip('"')
            found[code] = found.get(code, 0.0) + float(value)
    return found


def error_ratio(before: Answers, after: Answers) -> tuple[float, int]:
    """Share of 5xx among the answers in between, and how many answers there were. A Caddy that was started
    anew counts from 0 again."""
    if any(count < before.get(code, 0.0) for code, count in after.items()):
        before = {}
    grown = {code: count - before.get(code, 0.0) for code, count in after.items()}
    total = sum(grown.values())
    if total <= 0:
        return 0.0, 0
    return sum(count for code, count in grown.items() if code.startswith("5")) / total, int(total)
