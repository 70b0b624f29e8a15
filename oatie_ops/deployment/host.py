"""What this host offers just now: who holds a port, free disk and memory, a Python that can make venvs."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.supervisor.rival import Rival, rival

CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Holder:
    """``rival`` is set where it belongs to another oatie."""

    pid: int
    command: str
    rival: Rival | None = None


@dataclass(frozen=True)
class Port:
    """``problem`` is empty when the address can be bound; ``holders`` are known where the system tells.

    ``own``: it is this project itself that is in the way.
    """

    host: str
    port: int
    problem: str = ""
    holders: tuple[Holder, ...] = ()
    own: bool = False


@dataclass(frozen=True)
class Host:
    """Measured now. The problems are sentences for an operator, empty when there is none.

    ``open_files_limit`` of a process, None where it has none.
    """

    python: tuple[int, int]
    venv_problem: str
    state_home: Path
    state_problem: str
    disk_free_bytes: int
    memory_available_bytes: int
    app_port: Port
    ops_port: Port | None = None
    open_files_limit: int | None = None


def measure(state_home: Path, app_port: Port, ops_port: Port | None) -> Host:
    place = nearest_existing(state_home)
    return Host(
        python=(sys.version_info.major, sys.version_info.minor),
        venv_problem=venv_problem(),
        state_home=state_home,
        state_problem=write_problem(place),
        disk_free_bytes=shutil.disk_usage(place).free,
        memory_available_bytes=memory_available_bytes(),
        app_port=app_port,
        ops_port=ops_port,
        open_files_limit=open_files_limit(),
    )


def open_files_limit() -> int | None:
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if limit == resource.RLIM_INFINITY else limit


def venv_problem() -> str:
    if not sys.executable or not os.access(sys.executable, os.X_OK):
        return f"the interpreter {sys.executable or '(unknown)'} cannot be run"
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    return f"{sys.executable} has no module {' and no module '.join(missing)}" if missing else ""


def write_problem(place: Path) -> str:
    if not place.is_dir():
        return f"{place} is not a directory"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} is not writable for this user"
    return ""


def nearest_existing(path: Path) -> Path:
    """Where the state directory is or would be made; nothing is made by looking."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def probe_port(host: str, port: int) -> Port:
    """Tries to bind as the supervisor would. Port 0 is whatever the kernel has, so always free."""
    if port == 0:
        return Port(host, port)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        return Port(host, port, f"{host!r} is no address of this host: {error.strerror}")
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
        except OSError as error:
            return Port(host, port, _bind_problem(error, port), _holders(error, port))
    return Port(host, port)


def _bind_problem(error: OSError, port: int) -> str:
    if error.errno == errno.EACCES and port < 1024:
        return f"port {port} is reserved for root (or for a program with CAP_NET_BIND_SERVICE)"
    return (error.strerror or str(error)).lower()


def _holders(error: OSError, port: int) -> tuple[Holder, ...]:
    if error.errno != errno.EADDRINUSE:
        return ()
    import psutil

    try:
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    except psutil.AccessDenied:  # macOS tells only root
        return ()
    pids = {c.pid for c in listening if c.pid and c.laddr and c.laddr.port == port}
    found = []
    for pid in sorted(pids):
        try:
            process = psutil.Process(pid)
            found.append(Holder(pid, " ".join(process.cmdline()) or process.name(), rival(pid)))
        except psutil.Error:
            continue
    return tuple(found)


def memory_available_bytes() -> int:
    """What the kernel could give without swapping, within the limit of this control group."""
    import psutil

    available = int(psutil.virtual_memory().available)
    limited = cgroup_available_bytes(CGROUP)
    return available if limited is None else min(available, limited)


def cgroup_available_bytes(directory: Path) -> int | None:
    """Control groups version 2 (kernel: cgroup-v2): memory.max less what is used and cannot be reclaimed."""
    try:
        limit = (directory / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((directory / "memory.current").read_text())
        stat = dict(line.split() for line in (directory / "memory.stat").read_text().splitlines())
        return max(0, int(limit) - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None
