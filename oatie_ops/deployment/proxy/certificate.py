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


def wait(wanted: Wanted, log: Path, tell: Callable[[str], None], seconds: float = WAIT_SECONDS) -> list[str]:
    """Returns when there is one for each host name, or what is to be said of those that have none.

    Raises `NoCertificate` where the first has none: by that one Caddy is asked what it serves. Another that
    is not to be had must not hold up what the users of the first wait for. ``log`` may tell why.
    """
    deadline, begun_at = time.monotonic() + seconds, _size(log)
    missing = []
    for number, host in enumerate(wanted.hosts):
        while why := _missing(wanted, host):
            if time.monotonic() > deadline:
                found = _told(wanted, host, _last_error(log, begun_at) or why, seconds)
                if number == 0:
                    raise found
                missing.append(f"{found.what} ({found.why})")
                break
            tell(f"waiting for a certificate for {host}")
            time.sleep(POLL_SECONDS)
    return missing


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
    except (OSError, ValueError) as error:  # an ssl.SSLError; a name that cannot be asked for
        return str(error) or type(error).__name__


def _told(wanted: Wanted, host: str, why: str, seconds: float) -> NoCertificate:
    fix = "see Caddy's own log"
    if wanted.tls == "auto":
        authority = (
            f"{wanted.acme_ca} has to be reachable from here, and" if wanted.acme_ca else "its authority:"
        )
        fix = f"{authority} {host} has to lead to this machine, with port 80 or 443 open to it"
    return NoCertificate(f"Caddy has no certificate for {host} after {seconds:g} s", why=why, fix=fix)


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0


def _last_error(log: Path, begun_at: int) -> str:
    """From the log of a Caddy that oatie has started: what its authority has said since it was that long."""
    found = ""
    with suppress(OSError):
        for line in log.read_bytes()[begun_at:][-LOG_TAIL_BYTES:].splitlines():
            with suppress(ValueError, AttributeError):
                entry = json.loads(line)
                if entry.get("level") == "error" and entry.get("error"):
                    found = str(entry["error"])[:300]
    return found
