"""Whether a browser sent a request on behalf of a page of ours. Pure.

A browser says so itself: ``Sec-Fetch-*`` (https://www.w3.org/TR/fetch-metadata/) and, on whatever is not
a plain GET, ``Origin``. Programs send neither and are not concerned: they prove themselves by a token.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from oatie_ops.printable import printable

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OWN_SITES = ("same-origin", "none")


def refusal(method: str, headers: Mapping[str, str], allowed: Collection[str] = ()) -> str:
    """Why this request comes from a page that has no business here; empty where it may pass.

    ``headers`` by lower-case name; ``allowed``: origins of `ops.cors_origins`.
    """
    origin = headers.get("origin")
    if origin is not None and origin in allowed:
        return ""
    if origin is not None and not is_own(origin, headers.get("host", "")):
        # A GET with an Origin is a script's request of another site; its answer would stay unread,
        # but there is no reason to do the work.
        return f"it was sent by a page of {_shown(origin)}"
    site = headers.get("sec-fetch-site")
    if site is None or site in _OWN_SITES:
        return ""
    if method in SAFE_METHODS and _is_followed_link(headers):
        return ""
    return f"the browser says that a page of another origin sent it (Sec-Fetch-Site: {_shown(site)})"


def is_own(origin: str, host: str) -> bool:
    """Whether the page came from the address that this request went to.

    The scheme is not compared: behind a proxy that ends TLS, it is another one here than in the browser.
    """
    scheme, separator, rest = origin.partition("://")
    if not separator or scheme not in _DEFAULT_PORTS or not host:
        return False
    default = _DEFAULT_PORTS[scheme]
    return _with_port(rest, default) == _with_port(host, default)


def cors_headers(origin: str | None, allowed: Collection[str]) -> list[tuple[bytes, bytes]]:
    """For answers to a page of a configured origin. Never credentials: such pages bring a token."""
    if origin is None or origin not in allowed:
        return []
    return [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]


PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST, DELETE"),
    (b"access-control-allow-headers", b"Authorization, Content-Type"),
    (b"access-control-max-age", b"600"),
    (b"content-length", b"0"),
]


def _is_followed_link(headers: Mapping[str, str]) -> bool:
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _with_port(authority: str, default: int) -> tuple[str, str]:
    host, colon, port = authority.strip().lower().rpartition(":")
    if not colon or port.endswith("]"):
        return authority.strip().lower().rstrip("."), str(default)
    return host.rstrip("."), port


def _shown(text: str) -> str:
    return printable(text, 100)
