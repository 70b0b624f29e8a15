"""How a supervisor was started, what it serves beside the application, and to whom it reports."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oatie_ops.records import dataclass

if TYPE_CHECKING:
    from oatie_ops.supervisor.supervisor import Supervisor

# Makes the ops API for a supervisor: an ASGI application for the network and one for the owner's socket,
# and what has to run beside them. Handed in, because this room must not import `oatie_ops.api`.
OpsFactory = Callable[["Supervisor"], "OpsServices"]


@dataclass(frozen=True)
class OpsServices:
    """``why_no_token`` (empty where there is one) may block.

    ``refused`` hears of requests that ended before they reached ``public``: address, status, why.
    ``apply``: the supervisor has other settings now.
    """

    public: Any
    trusted: Any
    run: Callable[[], Coroutine[Any, Any, None]]
    why_no_token: Callable[[], str] = lambda: ""
    refused: Callable[[str, int, str], None] = lambda _address, _status, _why: None
    apply: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True)
class RunOptions:
    """How this process was started. ``report_fd``: a pipe to the parent that waits for a daemon."""

    pid_file: Path | None = None
    dev: bool = False
    health_check: bool = False  # give up where no worker is ready in time; a daemon always does
    echo: bool = True
    report_fd: int | None = None
    forkserver: tuple[socket.socket, int] | None = None  # from `prestart.take`
    ops: OpsFactory | None = None


class Report:
    """To the parent that waits for a daemon, through a pipe; to nobody where there is none."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def trying(self, why: str) -> None:
        if self._fd is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._fd, json.dumps({"event": "trying", "why": why}).encode() + b"\n")

    def send(self, event: dict[str, Any]) -> None:
        """Once: the parent waits for one verdict."""
        if self._fd is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._fd, json.dumps(event).encode() + b"\n")
            os.close(self._fd)
            self._fd = None
