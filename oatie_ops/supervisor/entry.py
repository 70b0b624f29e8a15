"""Where the processes of a supervisor begin: ``entry.py supervisor`` and ``entry.py workers FD PID VERSION
SPAWNED``, where SPAWNED is the monotonic time of the spawn.

A script of its own, because ``ps`` shows its name, and because a release may bring an interpreter that has
never heard of oatie: what that one lacks is named in ``OATIE_BORROWED_PATH``.
"""

from __future__ import annotations

import os
import sys
import time

ENTERED, ENTERED_CPU = time.monotonic(), time.process_time()
BORROWED = "OATIE_BORROWED_PATH"


def main() -> None:
    if sys.argv[1] == "supervisor":
        _borrow()
        from oatie_ops.supervisor.daemon import child

        child()
    else:
        spawned = float(sys.argv[5]) if len(sys.argv) > 5 else ENTERED
        times = {"spawned": spawned, "entered": ENTERED, "entered cpu": ENTERED_CPU}
        serve_forks(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], times)


def serve_forks(channel: int, supervisor_pid: int, version: str, times: dict[str, float]) -> None:
    """`oatie_ops.supervisor.forkserver.main`, with oatie's packages borrowed."""
    borrowed = _borrow()
    from oatie_ops.supervisor import forkserver

    forkserver.main(channel, supervisor_pid, version, borrowed, times)


def _borrow() -> list[str]:
    """What this put at the beginning of `sys.path`: the server is the one that this oatie was tested with."""
    package_parent = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100,PTH120
    named = [package_parent, *os.environ.pop(BORROWED, "").split(os.pathsep)]
    borrowed = [entry for entry in named if entry and entry not in sys.path]
    sys.path[:0] = borrowed
    return borrowed


def stand_in_for_main() -> None:
    """In a fork of a command: for ``ps``, and for `multiprocessing`, which imports the main module anew."""
    from types import ModuleType

    from oatie_ops.supervisor.title import rename

    rename("oatie workers")
    module = ModuleType("__main__")
    module.__file__ = __file__
    sys.modules["__main__"] = module


if __name__ == "__main__":
    main()
