"""Starts a fork server before the command line is even parsed.

Importing the server takes longer than everything that ``oatie start`` does before it can ask for a worker,
so the two run side by side. If the start is refused, or wants another interpreter, it is closed unused.
This module is on that path, so it imports next to nothing.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
import time

from oatie_ops._version import __version__

# What the service manager tells the supervisor is not for its workers (sd_notify(3), sd_listen_fds(3)), nor
# that a recovery ladder has started it: what such a ladder leaves running outlives its supervisor.
SUPERVISORS_OWN = frozenset(
    {
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "OATIE_RECOVERY",
    }
)

_started: tuple[socket.socket, int] | None = None


def prestart() -> None:
    """Linux: a fork of this process, which saves half of the imports. What the service manager and a ladder
    put into the environment would stay visible in a fork's (proc_pid_environ(5)), so that is spawned.
    """
    global _started  # noqa: PLW0603 - one per process, taken once
    if sys.platform == "linux" and SUPERVISORS_OWN.isdisjoint(os.environ) and _is_usual_interpreter():
        _started = _fork_fork_server()
    else:
        _started = spawn_fork_server(sys.executable, dict(os.environ))


def _is_usual_interpreter() -> bool:
    """Its options (-s, -E, -I, -O, of a distribution's own scripts) are not for the application."""
    flags = sys.flags
    return not (flags.no_user_site or flags.ignore_environment or flags.isolated or flags.optimize)


def _fork_fork_server() -> tuple[socket.socket, int]:
    gc.disable()  # until the supervisor runs: imports make no garbage
    from oatie_ops.supervisor import common  # noqa: F401

    supervisor = os.getpid()
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        from oatie_ops.supervisor.forked import become_fork_server

        ours.close()
        become_fork_server(theirs.detach(), supervisor)
    theirs.close()
    return ours, pid


def take() -> tuple[socket.socket, int] | None:
    """The channel and the pid of the fork server that was started early, once."""
    global _started
    taken, _started = _started, None
    return taken


def spawn_fork_server(interpreter: str, environment: dict[str, str]) -> tuple[socket.socket, int]:
    """Does not wait. The fork server ends by itself when the channel closes."""
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    channel, now = str(theirs.fileno()), str(time.monotonic())
    argv = entry_argv(interpreter, "workers", channel, str(os.getpid()), __version__, now)
    workers = {name: value for name, value in environment.items() if name not in SUPERVISORS_OWN}
    pid = os.posix_spawn(interpreter, argv, {**workers, **borrowed_path()})
    theirs.close()
    return ours, pid


def entry_argv(interpreter: str, *arguments: str) -> list[str]:
    """-P: the working directory must not shadow the standard library."""
    return [interpreter, "-P", os.path.join(os.path.dirname(__file__), "entry.py"), *arguments]  # noqa: PTH118,PTH120


def borrowed_path() -> dict[str, str]:
    """Tells `oatie_ops.supervisor.entry` where our own packages are."""
    return {"OATIE_BORROWED_PATH": os.pathsep.join(entry for entry in sys.path if "site-packages" in entry)}
