"""Runs one command of a ladder; ends it with all its children when its caller is gone, or says so.

A script of its own (``python -I -S guard.py GRACE_SECONDS REPORT_FD PROGRAM [ARGUMENT]…``). Standard input
is a pipe whose other end only the caller holds: the kernel closes it however the caller dies, and two tries
never run at once. A command that ends by itself may leave processes running; that is what it is for. Their
numbers go to REPORT_FD: orphans come to this process (prctl(2), PR_SET_CHILD_SUBREAPER), so they are known.
The exit code is the command's, 128 + N when signal N ended it, 127 or 126 where it could not be started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def main(grace_seconds: float, report: int, argv: list[str]) -> int:
    os.set_inheritable(report, False)
    _adopt_orphans()
    try:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", flush=True)
        return 127 if isinstance(error, FileNotFoundError) else 126
    over = threading.Event()
    threading.Thread(target=_watch, args=(process.pid, grace_seconds, over), daemon=True).start()
    code = process.wait()
    over.set()
    with suppress(OSError):
        os.write(report, " ".join(str(pid) for pid in _children()).encode())
    return code if code >= 0 else 128 - code


def _watch(group: int, grace_seconds: float, over: threading.Event) -> None:
    while os.read(0, 1):
        pass
    if over.is_set():
        return
    _signal_group(group, signal.SIGTERM)
    # What is stopped does not hear SIGTERM.
    _signal_group(group, signal.SIGCONT)
    if not over.wait(grace_seconds):
        _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody left (macOS says EPERM of zombies)
        os.killpg(group, number)


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children() -> list[int]:
    """proc_pid_stat(5): state and parent stand behind the name, which may hold anything."""
    found = []
    proc = Path("/proc")
    for entry in proc.iterdir() if proc.is_dir() else ():
        if entry.name.isdecimal():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if int(parent) == os.getpid() and state != "Z":
                found.append(int(entry.name))
    return found


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
