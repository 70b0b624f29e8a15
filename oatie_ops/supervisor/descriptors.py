"""How many file descriptors a worker has left: without one it can take no connection.

An event loop that finds none left resets whoever comes (libuv), or lets them wait (asyncio), and goes on
beating: a worker that leaks answers nobody, and as it is never busy, it gets the most connections.
"""

from __future__ import annotations

import errno
import os
import resource

# With fewer left than this, or than a sixteenth of a low limit, a leak is over soon.
RESERVE = 32
# As many as a worker lets itself have. Not all that some systems would give (a thousand million): programs
# that close every possible one by hand would take minutes.
WANTED = 65_536


def take() -> None:
    """Raises this process's own limit: 1,024 is the default of many systems, for the sake of select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS has a limit of its own below the one that it tells
            return


def running_out(known: int, connections: int) -> bool:
    """Whether hardly any is left and it is not the ``connections`` that took them; ``known`` is an open one.

    Costs two system calls: a new descriptor has the lowest number that is free.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or connections > soft // 2:
        return False
    try:
        lowest = os.dup(known)
    except OSError as error:
        return (
            error.errno == errno.EMFILE
        )  # not ENFILE: then the whole system has none, and a new worker as well
    os.close(lowest)
    return lowest >= soft - min(RESERVE, soft // 16)
