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
    package_parent = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100,PTH120
    named = [package_parent, *os.environ.pop(BORROWED, "").split(os.pathsep)]
    borrowed = [entry for entry in named if entry and entry not in sys.path]
    # First, so that the server is the one that this oatie was tested with; given back before the application.
    sys.path[:0] = borrowed
    if sys.argv[1] == "supervisor":
        from oatie_ops.supervisor.daemon import child

        child()
    else:
        from oatie_ops.supervisor import forkserver

        spawned = float(sys.argv[5]) if len(sys.argv) > 5 else ENTERED
        times = {"spawned": spawned, "entered": ENTERED, "entered cpu": ENTERED_CPU}
        forkserver.main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], borrowed, times)


if __name__ == "__main__":
    main()
