"""What a worker tells its supervisor: JSON lines on the control socket, each with moment and costs."""

from __future__ import annotations

import contextlib
import importlib
import json
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from oatie_ops.supervisor.loading import LoadError


def queued_seconds() -> float | None:
    """In which the main thread could have run, but the processor was taken (Linux; proc_pid_schedstat(5))."""
    try:
        with open("/proc/self/schedstat", "rb") as file:  # noqa: PTH123 - on the way of a boot
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


class Reporter:
    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def send(self, event: str, **facts: Any) -> None:
        moment = {"at": time.monotonic(), "cpu": time.process_time(), "queued": queued_seconds()}
        line = json.dumps({"event": event, **moment, **facts}) + "\n"
        # Nobody to report to: the lifeline ends this process within the same moment.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._control.sendall(line.encode())

    def boot_failed(self, error: BaseException, directory: str) -> None:
        shown = traceback.TracebackException.from_exception(error)
        shown.stack = _beyond_the_import(shown.stack, error)
        if shown.__cause__ is not None and error.__cause__ is not None:
            shown.__cause__.stack = _beyond_the_import(shown.__cause__.stack, error.__cause__)
        sys.stderr.write("".join(shown.format()))
        sys.stderr.flush()
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if f.filename.startswith(directory)]
        where = f"{own[-1].filename}:{own[-1].lineno}" if own else ""
        if isinstance(error, SyntaxError) and error.filename:
            where = f"{error.filename}:{error.lineno}"
        kind = "" if isinstance(error, LoadError) else f"{type(error).__name__}: "
        deterministic = isinstance(error, LoadError | ImportError | SyntaxError | NameError | AttributeError)
        self.send("boot-failed", error=f"{kind}{error}", where=where, deterministic=deterministic)


def _beyond_the_import(stack: traceback.StackSummary, error: BaseException) -> traceback.StackSummary:
    """The frames from the application's own first one on.

    Where it has none: none for what cannot be loaded at all and says so itself, else all of them.
    """
    own = str(Path(__file__).parents[1])
    machinery = (own, importlib.__path__[0], "<frozen importlib")
    none = len(stack) if isinstance(error, LoadError | ImportError | SyntaxError) else 0
    first = next((i for i, frame in enumerate(stack) if not frame.filename.startswith(machinery)), none)
    return traceback.StackSummary.from_list(list(stack)[first:])
