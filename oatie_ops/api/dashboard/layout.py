"""What all pages share: the frame around them, and the policy that browsers hold them to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oatie_ops.api.dashboard.assets import url
from oatie_ops.api.dashboard.templates import Html, render

# Scripts, styles and pictures from here alone, nothing in line; forms go here alone.
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    # With "no-referrer" browsers send `Origin: null` with a form, as an opaque page of others would.
    "Referrer-Policy": "same-origin",
}


def layout(name: str, title: str, values: Mapping[str, Any], *, script: str = "") -> Html:
    """The template ``name`` as a whole page. ``script``: the name of the one script it loads."""
    content = render(name, values)
    return render(
        "layout",
        {
            "title": title,
            "content": content,
            "styles": [url("uplot.css"), url("app.css")] if script else [url("app.css")],
            "icon": url("icon.svg"),
            "scripts": [url(script)] if script else [],
            "csrf": values.get("csrf", ""),
            "refresh": values.get("refresh", ""),
        },
    )
