"""Addresses that a person can open, for a socket that is bound to something like ``0.0.0.0``."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Mapping

ANY = {"0.0.0.0", "::", ""}


def human_urls(
    host: str,
    port: int,
    *,
    environ: Mapping[str, str] | None = None,
    lan_address: Callable[[], str | None] | None = None,
) -> list[str]:
    """The best address first. A wildcard becomes localhost, and the network's address after it.

    In GitHub Codespaces the forwarded address comes first: it is the only one that a browser reaches.
    ``lan_address`` finds this machine's address in its network (default: `primary_address`).
    """
    env = os.environ if environ is None else environ
    urls = [_url("localhost" if host in ANY else host, port)]
    if host in ANY:
        address = (lan_address or primary_address)()
        if address and not ipaddress.ip_address(address).is_loopback:
            urls.append(_url(address, port))
    name, domain = env.get("CODESPACE_NAME"), env.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN")
    if name and domain:
        urls.insert(0, f"https://{name}-{port}.{domain}")
    return urls


def primary_address() -> str | None:
    """The address from which this machine would speak to others; nothing is sent to find it out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): only the route matters
            return str(sock.getsockname()[0])
        except OSError:
            return None


def _url(host: str, port: int) -> str:
    # A zone (fe80::1%eth0) needs its percent sign escaped (RFC 6874).
    name = f"[{host.replace('%', '%25')}]" if ":" in host else host
    return f"http://{name}:{port}" if port != 80 else f"http://{name}"
