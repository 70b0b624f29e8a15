"""The demo's front page: what this is, and what can be tried."""

from __future__ import annotations

import base64
import hashlib

from oatie_ops.demo.web import Response

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "td,th{text-align:left;padding:.25rem 1rem .25rem 0;vertical-align:top}"
    "code{font-family:ui-monospace,monospace;white-space:nowrap}"
    ":root{color-scheme:light dark}"
)

_ENDPOINTS = (
    ("GET /ready", "200 once this worker can read its data"),
    ("GET /api/reports?limit=20", "the newest reports"),
    ("POST /api/reports", 'makes one: {"title": "Q1", "region": "north", "days": 30}, all optional'),
    ("GET /api/reports/1", "one report"),
    ("GET /api/slow?seconds=5", "answers after that time (30 at most): try a deploy meanwhile"),
    ("GET /api/flaky", "works, or answers 500 while it is switched to fail"),
    ("oatie degrade reports --reason try", "degrades /api/reports in every worker; --restore ends that"),
    ("POST /api/flaky?fail=true", "makes it fail in every worker; fail=false ends that"),
)


def _html() -> bytes:
    rows = "".join(f"<tr><td><code>{call}</code></td><td>{meaning}</td></tr>" for call, meaning in _ENDPOINTS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>oatie demo service</title><style>{_STYLE}</style></head><body>"
        "<h1>oatie demo service</h1>"
        "<p>No application was found where <code>oatie</code> was run, so it deployed this small reports "
        "service. Its data is one SQLite file that all workers share.</p>"
        "<table><thead><tr><th>Request</th><th>Answer</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        "<p>To deploy your own application, run <code>oatie init</code> in its directory. "
        "<code>oatie health</code> tells how this one is.</p>"
        "</body></html>"
    ).encode()


def front_page() -> Response:
    style_hash = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style_hash}'; frame-ancestors 'none'; base-uri 'none'"
    return Response(200, _html(), "text/html; charset=utf-8", (("content-security-policy", policy),))
