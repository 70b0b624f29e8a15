"""``python -m tests.benchmarks [NAME …]`` prints figures, ratios and the targets they are held against.

Everything is measured here and now, the peers in turn with `oatie`, so ratios survive a slow machine;
absolute figures are those of this machine. Peers that are not installed are left out:
``pip install gunicorn uvicorn-worker granian`` brings them; ``wrk`` is a system package.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict

from tests.benchmarks import recovery, starting, steady, switching
from tests.benchmarks.report import Figure, table
from tests.benchmarks.servers import present

BENCHMARKS: dict[str, Callable[[bool], Iterator[Figure]]] = {
    "throughput": lambda quick: steady.throughput(3 if quick else 8),
    "footprint": lambda quick: steady.footprint(4 if quick else 20),
    "start": lambda quick: starting.starting(3 if quick else 9),
    "worker-killed": lambda _quick: recovery.worker_killed(),
    "supervisor-killed": lambda _quick: recovery.supervisor_killed(),
    "broken-reload": lambda _quick: recovery.broken_reload(),
    "reloads": lambda quick: switching.reloads(2 if quick else 5),
    "deploys": lambda quick: switching.deploys(5 if quick else 20),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="the figures as one JSON array on stdout")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for name in arguments.names or BENCHMARKS:
        print(f"{name} …", file=sys.stderr, flush=True)
        figures += BENCHMARKS[name](arguments.quick)
    if arguments.json:
        print(json.dumps([asdict(figure) for figure in figures], indent=1))
    else:
        print(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
        print(f"peers: {', '.join(peer.name for peer in present())}\n")
        print(table(figures))
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
