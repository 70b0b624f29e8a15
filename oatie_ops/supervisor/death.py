"""A worker must not outlive its supervisor, whatever kills it and whatever the worker is doing.

Two ropes: the kernel's parent-death signal (Linux), and everywhere a thread that reads a pipe whose
other end only the supervisor holds. The thread runs even while the event loop is blocked.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent_pid: int) -> None:
    """Asks the kernel for SIGKILL at the parent's death; exits if the parent is gone already (prctl(2))."""
    if sys.platform != "linux":
        return
    deadline = time.monotonic() + 1.0
    while os.getppid() != parent_pid and time.monotonic() < deadline:
        time.sleep(0.0005)  # the intermediate process of a double fork has not exited yet
    if os.getppid() != parent_pid:
        return  # no subreaper above us: the lifeline alone must do
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def become_subreaper() -> None:
    """Orphans of our descendants become our children, so that we can reap them (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def watch_lifeline(fd: int) -> None:
    """Kills this process and its group when the supervisor's end of the pipe closes."""

    def wait() -> None:
        while os.read(fd, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="oatie-lifeline", daemon=True).start()
