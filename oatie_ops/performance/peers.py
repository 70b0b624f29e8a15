"""Whom a process is connected to: what it reached, whichever library it used for it."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

ESTABLISHED, LISTEN = "01", "0A"


def peers(pid: int, root: Path = Path("/")) -> list[str]:
    """``host:port`` of what it has connected to; what has connected to it is left out."""
    if sys.platform == "linux" or root != Path("/"):
        return _from_proc(root / "proc" / str(pid))
    return _from_psutil(pid)


def _from_proc(directory: Path) -> list[str]:
    """proc_pid_net(5): the sockets of the name space, of which those are ours whose inodes we hold open."""
    inodes = set()
    served: set[str] = set()
    own: list[tuple[str, str]] = []  # ports of ours, addresses of theirs
    try:
        for fd in os.scandir(directory / "fd"):
            target = os.readlink(fd.path)  # noqa: PTH115
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        for name in ("tcp", "tcp6"):
            for state, local, remote, inode in _sockets(directory / "net" / name):
                if state == LISTEN:
                    served.add(local.rpartition(":")[2])
                elif inode in inodes:
                    own.append((local.rpartition(":")[2], remote))
    except OSError:
        return []
    return list(dict.fromkeys(_address(remote) for port, remote in own if port not in served))


def _sockets(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """State, local and remote address, inode of those that are established or listen.

    Line by line: after many short connections most of some ten thousand lines are in TIME_WAIT.
    """
    try:
        with path.open() as file:
            for line in file:
                head = line.split(None, 4)
                if len(head) > 4 and head[3] in (ESTABLISHED, LISTEN):
                    rest = head[4].split(None, 6)
                    yield head[3], head[1], head[2], rest[5] if len(rest) > 5 else ""
    except FileNotFoundError:  # no IPv6
        return


def _from_psutil(pid: int) -> list[str]:
    import psutil

    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return []
    served = {c.laddr[1] for c in connections if c.status == psutil.CONN_LISTEN and c.laddr}
    found = [c.raddr for c in connections if c.status == psutil.CONN_ESTABLISHED and c.laddr[1] not in served]
    return list(dict.fromkeys(_shown(str(peer[0]), int(peer[1])) for peer in found if peer))


def _address(text: str) -> str:
    """``0100007F:1538``: 32-bit words in the machine's byte order."""
    host, _, port = text.partition(":")
    words = [int(host[i : i + 8], 16) for i in range(0, len(host), 8)]
    raw = struct.pack(f"={len(words)}I", *words)
    if len(raw) == 4:
        return _shown(socket.inet_ntop(socket.AF_INET, raw), int(port, 16))
    mapped = raw[:12] == bytes(10) + b"\xff\xff"
    family, raw = (socket.AF_INET, raw[12:]) if mapped else (socket.AF_INET6, raw)
    return _shown(socket.inet_ntop(family, raw), int(port, 16))


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
