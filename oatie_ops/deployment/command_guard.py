"""Runs one shell command, and ends it with all its children as soon as its caller is gone.

A script of its own (``python -I -S command_guard.py GRACE_SECONDS COMMAND``): standard input is a pipe
whose other end only the caller holds. The kernel closes that end however the caller dies, by SIGKILL too.
The exit code is the command's, or 128 + N when signal N ended it, as a shell reports it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def main(grace_seconds: float, command: str) -> int:
    # Its own process group, so that everything which it started can be found at the end.
    process = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, process_group=0)
    over = threading.Event()
    threading.Thread(target=_watch, args=(process.pid, grace_seconds, over), daemon=True).start()
    code = process.wait()
    over.set()
    _signal_group(process.pid, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def _watch(group: int, grace_seconds: float, over: threading.Event) -> None:
    while os.read(0, 1):
        pass
    _signal_group(group, signal.SIGTERM)
    if not over.wait(grace_seconds):
        _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody left (macOS says EPERM of zombies)
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2]))
