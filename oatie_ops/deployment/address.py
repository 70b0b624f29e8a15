"""Where the application listens, where it is going to listen, and who is in the way there.

A running supervisor moves to another address at the switch, so a taken port is a problem only where the
taker is neither the release that is about to give it up nor anything else of this project.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.host import Holder, Port, probe_port
from oatie_ops.deployment.targets.base import Running
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.pidfile import live_owner

LEAVING_SECONDS = 5.0
LEAVING_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Move:
    """From one address to another, each as ``host:port``. ``same_port``: only the host changes."""

    old: str
    new: str
    same_port: bool


def move(settings: Settings, running: Running | None) -> Move | None:
    """None where nothing serves, or it stays where it is; what the supervisor does not tell, stays."""
    if running is None or running.port is None or not running.serves:
        return None
    host, port = settings.app.host, settings.app.port
    old_host = host if running.host is None else running.host
    if (host, port) == (old_host, running.port):
        return None
    return Move(address(old_host, running.port), address(host, port), port == running.port)


def address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def at_running_address(
    settings: Settings, running: Running | None, *, port: bool = True, host: bool = True
) -> Settings:
    """The settings with the port, the host or both where the supervisor listens.

    Port 0 asks for any port, and the one that it has become is one.
    """
    app = settings.app
    if running is None:
        return settings
    if running.port is not None and (port or app.port == 0):
        app = replace(app, port=running.port)
    if running.host is not None and host:
        app = replace(app, host=running.host)
    return replace(settings, app=app)


def probe_app_port(settings: Settings, paths: StatePaths, running: Running | None) -> Port:
    """The address that is wanted. Who serves there now gives it up at the switch."""
    port = probe_port(settings.app.host, settings.app.port)
    if settings.app.front is not None and any("caddy" in holder.command for holder in port.holders):
        return replace(port, problem="", holders=())
    if running is None:
        port = _without_what_leaves(port, paths)
    elif running.port == port.port and (not port.holders or _any_ours(port, running)):
        return replace(port, problem="", holders=())
    return replace(port, own=bool(port.problem) and _any_ours(port, running, paths))


def _without_what_leaves(port: Port, paths: StatePaths) -> Port:
    """A supervisor that was killed, or that leaves because its first deploy was, is gone within a moment."""
    deadline = time.monotonic() + LEAVING_SECONDS
    while port.problem and paths.supervisor_pid.exists() and time.monotonic() < deadline:
        time.sleep(LEAVING_POLL_SECONDS)
        port = probe_port(port.host, port.port)
    return port


def _any_ours(port: Port, running: Running | None, paths: StatePaths | None = None) -> bool:
    """Is it the supervisor, or something below it? A program may let a child of its own listen."""
    owner = live_owner(paths.supervisor_pid) if paths is not None else None
    ours = {owner.pid} if owner is not None else set()
    if running is not None:
        ours |= {running.supervisor_pid, *running.worker_pids}
    return any(_descends(holder, ours) for holder in port.holders)


def _descends(holder: Holder, ancestors: set[int]) -> bool:
    if holder.pid in ancestors:
        return True
    import psutil

    try:
        return any(parent.pid in ancestors for parent in psutil.Process(holder.pid).parents())
    except psutil.Error:
        return False
