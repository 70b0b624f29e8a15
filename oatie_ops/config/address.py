"""Addresses to listen on: ``host:port``, IPv6 in brackets."""

from __future__ import annotations

import ipaddress

ANY_ADDRESSES = ("0.0.0.0", "::")


def listen_address(value: str) -> tuple[str, int] | None:
    """("127.0.0.1", 8000) from ``host:port``; None for anything else ("off", "app")."""
    host, separator, port = value.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or int(port) > 65535:
        return None
    bare = host.removeprefix("[").removesuffix("]")
    return (bare, int(port)) if bare and (":" not in bare or host != bare) else None


def is_loopback(host: str) -> bool:
    """Of an address or a name. What is no address counts as reachable from elsewhere, but for localhost."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def same_port(host: str, port: int, other: tuple[str, int]) -> bool:
    """Would binding both fail? Port 0 is a different one each time."""
    if port != other[1] or port == 0:
        return False
    hosts = {"127.0.0.1" if name == "localhost" else name for name in (host, other[0])}
    return len(hosts) == 1 or any(name in ANY_ADDRESSES for name in hosts)
