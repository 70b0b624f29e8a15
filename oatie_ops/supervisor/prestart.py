"""Starts a fork server before the command line is even parsed.

Importing the server takes longer than everything that ``oatie start`` does before it can ask for a worker,
so the two run side by side. If the start is refused, or wants another interpreter, it is closed unused.
"""

from __future__ import annotations

from oatie_ops.supervisor.launcher import ForkServer

_started: ForkServer | None = None


def prestart() -> None:
    global _started  # noqa: PLW0603 - one per process, taken once
    _started = ForkServer.start(None, {})


def take() -> ForkServer | None:
    global _started
    taken, _started = _started, None
    return taken
