"""A port of the loopback for a container, which keeps it over every restart."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 20_000
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
TRIES = 200


def free_port() -> int:
    """Below the range that the system gives to outgoing connections: one of those could have the port in the
    moment in which the engine starts the container again."""
    choose = random.SystemRandom()
    highest = _first_ephemeral()
    for _ in range(TRIES if highest > LOWEST + TRIES else 0):
        port = choose.randrange(LOWEST, highest)
        if _is_free(port):
            return port
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _first_ephemeral() -> int:
    try:
        return int(EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
