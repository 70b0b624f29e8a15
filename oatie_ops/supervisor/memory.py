"""Resident memory: of any process, without psutil where the kernel has a file for it; and less of our own."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
from pathlib import Path

# Of mallopt(3).
M_ARENA_MAX = -8
# How often it is looked whether memory has grown, and by how much it has to be worth a millisecond.
TRIM_SECONDS = 2.0
KEEP_AFTER_SECONDS = 20.0
TRIM_BYTES = 1_000_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def rss_bytes(pid: int) -> int:
    """0 for a process that is gone."""
    try:
        with Path(f"/proc/{pid}/statm").open("rb", buffering=0) as file:
            return int(file.read().split()[1]) * PAGE_BYTES
    except FileNotFoundError:
        if Path("/proc/self/statm").exists():
            return 0
    except (OSError, ValueError, IndexError):
        return 0
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def stay_small() -> None:
    """Call before the first thread: glibc gives each a heap of its own, which then stays half empty."""
    _libc("mallopt", M_ARENA_MAX, 1)


def give_back() -> None:
    """What the imports needed and nobody needs any more goes back to the system.

    What is left stays for good, see `keep`.
    """
    gc.unfreeze()
    gc.collect()
    keep()
    trim()


def keep() -> None:
    """What there is now is not looked through for garbage again: a collection of everything would hold up
    the event loop, and every answer, for tens of milliseconds. Takes no time itself.
    """
    gc.freeze()


def trim() -> None:
    """Free memory of the heap goes back to the system, which it does not by itself below the top; ~1 ms."""
    _libc("malloc_trim", 0)


async def trim_forever() -> None:
    """What a large answer took stays free memory of this process for good otherwise."""
    pid, settled = os.getpid(), 0
    while True:
        if rss_bytes(pid) > settled + TRIM_BYTES:
            trim()
            settled = rss_bytes(pid)
        await asyncio.sleep(TRIM_SECONDS)


async def keep_what_began() -> None:
    """By then all that goes on for good has begun, such as a task for each check."""
    await asyncio.sleep(KEEP_AFTER_SECONDS)
    keep()


def _libc(name: str, *arguments: int) -> None:
    """Calls a function of glibc; nothing happens where there is none of that name (macOS, musl)."""
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)
