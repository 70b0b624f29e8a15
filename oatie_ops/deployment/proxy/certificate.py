"""Does Caddy have a certificate for our host names yet? An ACME authority may take a while, or refuse."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from oatie_ops.deployment.proxy.routes import Wanted
from oatie_ops.errors import OatieError

WAIT_SECONDS = 90.0
POLL_SECONDS = 0.2
ANSWER_SECONDS = 5.0
LOG_TAIL_BYTES = 64 * 1024


class NoCertificate(OatieError):
    """Caddy has none for a host name, so nobody could be answered there."""


def wait(wanted: Wanted, log: Path, tell: Callable[[str], None], seconds: float = WAIT_SECONDS) -> None:
    """Returns when there is one for each host name. Raises `NoCertificate`; ``log`` may tell why."""
    deadline = time.monotonic() + seconds
    for host in wanted.hosts:
        while why := _missing(wanted, host):
            if time.monotonic() > deadline:
                raise _told(wanted, host, _last_error(log) or why, seconds)
            tell(f"waiting for a certificate for {host}")
            time.sleep(POLL_SECONDS)


def secured(connection: socket.socket, host: str) -> ssl.SSLSocket:
    """Only to see what Caddy has, on our own address: whose certificate it is does not matter."""
    return ssl._create_unverified_context().wrap_socket(connection, server_hostname=host)


def _missing(wanted: Wanted, host: str) -> str:
    """Why not; empty where there is one."""
    name = host.replace("*", "any", 1)
    try:
        with (
            socket.create_connection((wanted.reachable_host, wanted.port), ANSWER_SECONDS) as plain,
            secured(plain, name),
        ):
            return ""
    except OSError as error:  # an ssl.SSLError, too
        return str(error) or type(error).__name__


def _told(wanted: Wanted, host: str, why: str, seconds: float) -> NoCertificate:
    fix = "see Caddy's own log"
    if wanted.tls == "auto":
        authority = (
            f"{wanted.acme_ca} has to be reachable from here, and" if wanted.acme_ca else "its authority:"
        )
        fix = f"{authority} {host} has to lead to this machine, with port 80 or 443 open to it"
    return NoCertificate(f"Caddy has no certificate for {host} after {seconds:g} s", why=why, fix=fix)


def _last_error(log: Path) -> str:
    """From the log of a Caddy that oatie has started: what its authority said."""
    found = ""
    with suppress(OSError):
        for line in log.read_bytes()[-LOG_TAIL_BYTES:].splitlines():
            with suppress(ValueError, AttributeError):
                entry = json.loads(line)
                if entry.get("level") == "error" and entry.get("error"):
                    found = str(entry["error"])[:300]
    return found
