"""What each worker measures of itself, in memory shared with the supervisor.

One page of 64-bit floats per supervisor, eight of them per worker: the worker writes its own slot
without a lock or a system call, the supervisor reads. A torn read cannot happen: an aligned 8-byte
store is atomic on every machine that CPython supports.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

FIELDS = 8
SLOT_BYTES = FIELDS * 8
MAX_WORKERS = 512
PAGE_BYTES = SLOT_BYTES * MAX_WORKERS

BEAT, REQUESTS, ERRORS, IN_FLIGHT, CONNECTIONS, SECONDS, TIMED, ACCEPTING = range(FIELDS)


if TYPE_CHECKING:
    Slot = memoryview[float]


@dataclass(frozen=True)
class WorkerSample:
    """One worker's counters. ``beat`` is `time.monotonic()` of its event loop, 0 before it first ran."""

    beat: float
    requests: int
    errors: int  # responses with a status of 500 or above, and applications that raised
    in_flight: int
    connections: int
    timed: int  # requests whose time was taken: all of them, or under heavy load a part
    busy_seconds: float  # their time from the call of the application to the last byte handed over


class StatsPage:
    """The supervisor's end: owns the page and hands out slots."""

    def __init__(self) -> None:
        self.fd = _anonymous_file(PAGE_BYTES)
        self._map = mmap.mmap(self.fd, PAGE_BYTES)
        self._floats = memoryview(self._map).cast("d")
        self._free = list(range(MAX_WORKERS - 1, -1, -1))

    def acquire(self) -> int:
        slot = self._free.pop()
        for index in range(slot * FIELDS, (slot + 1) * FIELDS):
            self._floats[index] = 0.0
        return slot

    def release(self, slot: int) -> None:
        self._free.append(slot)

    def read(self, slot: int) -> WorkerSample:
        values = self._floats[slot * FIELDS : (slot + 1) * FIELDS]
        return WorkerSample(
            beat=values[BEAT],
            requests=int(values[REQUESTS]),
            errors=int(values[ERRORS]),
            in_flight=int(values[IN_FLIGHT]),
            connections=int(values[CONNECTIONS]),
            timed=int(values[TIMED]),
            busy_seconds=values[SECONDS],
        )

    def close(self) -> None:
        self._floats.release()
        self._map.close()
        os.close(self.fd)


def open_slot(fd: int, slot: int) -> Slot:
    """The worker's end: a writable view of its own eight floats."""
    page = mmap.mmap(fd, PAGE_BYTES)
    return memoryview(page).cast("d")[slot * FIELDS : (slot + 1) * FIELDS]


def _anonymous_file(size: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("oatie-stats")
    else:
        fd, path = tempfile.mkstemp(prefix="oatie-stats-")
        os.unlink(path)  # noqa: PTH108 - only the descriptor is wanted
    os.ftruncate(fd, size)
    return fd
