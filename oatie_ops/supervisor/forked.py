"""A fork server that is a fork of `oatie start`, instead of a process with an interpreter of its own."""

from __future__ import annotations

import os
import sys
import time
from types import ModuleType
from typing import NoReturn

from oatie_ops._version import __version__
from oatie_ops.supervisor.title import rename

TITLE = "oatie workers"


def become_fork_server(channel: int, supervisor_pid: int) -> NoReturn:
    """In the child: serves forks, and ends the process when ``channel`` closes."""
    now = time.monotonic()
    times = {"spawned": now, "entered": now, "entered cpu": time.process_time()}
    rename(TITLE)
    room = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100,PTH120 - as in `oatie_ops.supervisor.entry`
    # `multiprocessing` imports the main module anew: not the command.
    module = ModuleType("__main__")
    module.__file__ = os.path.join(room, "entry.py")  # noqa: PTH118
    sys.modules["__main__"] = module
    borrowed = _without_own_directory(os.path.dirname(os.path.dirname(room)))  # noqa: PTH120
    from oatie_ops.supervisor import forkserver

    forkserver.main(channel, supervisor_pid, __version__, borrowed, times)
    sys.exit()


def _without_own_directory(package_parent: str) -> list[str]:
    """Takes the command's first entry out of `sys.path` (the working directory must not shadow a library).

    What was put there instead, so that this package is found: that is given back before the application.
    """
    if not sys.flags.safe_path:
        del sys.path[0]
    sys.path_importer_cache.clear()
    borrowed = [] if package_parent in sys.path else [package_parent]
    sys.path[:0] = borrowed
    return borrowed
