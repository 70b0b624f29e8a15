"""Outlives a supervisor that was killed, by the moment that it takes to end what is left of its workers.

The kernel ends a worker with its supervisor (`oatie_ops.supervisor.death`), but not what the worker itself
has started: a pool of processes, the ``node`` behind an ``npm start``. Those hold the port. This process
reads ``+PGID`` and ``-PGID`` lines; when its input ends, it kills every process group that is still listed.

Run as a script by an isolated interpreter, so it may use nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main() -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        group = int(line[1:])
        if line.startswith(b"+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
