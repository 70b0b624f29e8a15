"""Who is still connected to a port of the loopback: what a drain waits for."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

ESTABLISHED = "01"
# As the kernel writes them: 32-bit words in the byte order of a little-endian machine.
LOOPBACK, LOOPBACK_6 = "0100007F", "01000000"
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def open_connections(ports: Collection[int]) -> int | None:
    """How many connections clients have to these ports of this machine; None where it is not told."""
    wanted = set(ports)
    count, known = 0, False
    for table in TABLES:
        try:
            # Line by line: there may be some ten thousand, most of them in TIME_WAIT.
            with Path(table).open() as lines:
                count += sum(_is_client_of(line.split(None, 4), wanted) for line in lines)
        except OSError:
            continue
        known = True
    return count if known else None


def _is_client_of(fields: list[str], ports: set[int]) -> bool:
    """The client's side of the connection: remote port in ``ports``."""
    if len(fields) < 4 or fields[3] != ESTABLISHED:
        return False
    address, _, port = fields[2].rpartition(":")
    return int(port, 16) in ports and (address[-8:] == LOOPBACK or address.endswith(LOOPBACK_6))
