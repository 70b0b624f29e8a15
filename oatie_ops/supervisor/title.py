"""The name of a process that was forked and not executed, for ``ps``."""

from __future__ import annotations

import contextlib
import ctypes


def rename(title: str) -> None:
    """Writes over the command line that the kernel shows (proc_pid_cmdline(5)), as far as there is room.

    Linux tells where it lies (proc_pid_stat(5), arg_start and arg_end); elsewhere nothing happens.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - on the way of a start
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[45]), int(fields[46])
        if 0 < start < end:
            text = title.encode()[: end - start - 1]
            ctypes.memset(start, 0, end - start)
            ctypes.memmove(start, text, len(text))
