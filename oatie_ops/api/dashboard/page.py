"""The dashboard as one page without scripts. Everything that comes from outside is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from oatie_ops.config.durations import format_duration
from oatie_ops.health.model import Status
from oatie_ops.health.words import SYMBOLS, WORDS

REFRESH_SECONDS = 30

_STYLE = """
:root{color-scheme:light dark;--pass:#1a7f37;--warn:#9a6700;--fail:#cf222e;--unknown:#57606a;--line:#8884}
@media(prefers-color-scheme:dark){:root{--pass:#3fb950;--warn:#d29922;--fail:#ff7b72;--unknown:#8b949e}}
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:0 auto;padding:1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td{overflow-wrap:anywhere}
.wide{overflow-x:auto}.state{font-weight:600;white-space:nowrap}
.banner{border-left:.5rem solid;padding:.25rem 1rem;margin:1rem 0}
.pass{color:var(--pass)}.warn{color:var(--warn)}.fail{color:var(--fail)}.unknown{color:var(--unknown)}
footer{margin-top:2rem;font-size:.9rem}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'none'"
    )
}


def render(data: Mapping[str, Any]) -> str:
    """From the object of ``GET /health/dashboard``."""
    name = str(data["app"].get("name") or "application")
    word = WORDS[data["status"]]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">'
        f"<title>{SYMBOLS[data['status']]} {word} · {escape(name)}</title>"
        f"<style>{_STYLE}</style></head><body>"
        f"<header><h1>{escape(name)}</h1></header><main>"
        f"{_banner(data)}{_services(data['services'])}{_workers(data['workers'])}"
        f"</main>{_footer(data)}</body></html>"
    )


def _banner(data: Mapping[str, Any]) -> str:
    ready = data["groups"]["ready"]
    cause = f"<p>{escape(data['cause'])}</p>" if data["cause"] else "<p>Every check passes.</p>"
    release = f"Release {escape(str(data['release']))}. " if data["release"] else ""
    detail = f" ({escape(str(data['detail']))})" if data["detail"] else ""
    return (
        f'<section class="banner {data["status"]}" role="status"><h2>{_state(data["status"])}</h2></section>'
        f"{cause}<p>{release}The application is {escape(str(data['state']))}{detail}. "
        f"Traffic: {_state(ready['status'])} {escape(ready['output'])}.</p>"
    )


def _services(services: Mapping[str, Any]) -> str:
    checks = [
        (name, check_name, check)
        for name, service in services.items()
        for check_name, check in service["checks"].items()
    ]
    checks.sort(key=lambda item: -Status(item[2]["status"]).severity)
    rows = [
        (_state(check["status"]), escape(name), escape(check_name), escape(check["output"]), _since(check))
        for name, check_name, check in checks
    ]
    return _table("Services", ("State", "Service", "Check", "Finding", "For"), rows)


def _workers(workers: Sequence[Mapping[str, Any]]) -> str:
    keys = ("id", "state", "release", "pid", "requests", "errors", "in_flight", "connections")
    heads = ("Worker", "State", "Release", "Process", "Requests", "Errors", "In flight", "Connections")
    rows = [[escape(str(worker.get(key, ""))) for key in keys] for worker in workers]
    return _table("Workers", heads, rows) if rows else "<h2>Workers</h2><p>None runs.</p>"


def _footer(data: Mapping[str, Any]) -> str:
    return (
        f"<footer>As of {escape(data['taken_at'])} ({data['age_seconds']:.1f} s before this page was made). "
        f"It renews itself every {REFRESH_SECONDS} seconds. "
        '<a href="/health/dashboard">The same as JSON</a>. '
        f"oatie {escape(data['version'])}.</footer>"
    )


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """``rows`` hold HTML already."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<h2>{escape(title)}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _state(status: str) -> str:
    shape = f'<span aria-hidden="true">{SYMBOLS[status]}</span>'
    return f'<span class="state {status}">{shape} {WORDS[status]}</span>'


def _since(check: Mapping[str, Any]) -> str:
    return escape(format_duration(float(int(check["for_seconds"]))))
