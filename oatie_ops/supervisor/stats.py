"""What each worker measures of itself, in memory shared with the supervisor.

One page of 64-bit floats per supervisor, `FIELDS` of them per worker: the worker writes its own slot
without a lock or a system call, the supervisor reads. A torn read cannot happen: an aligned 8-byte
store is atomic on every machine that CPython supports.

The totals of a page include the workers that have ended, so they never go backwards.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import TYPE_CHECKING

from oatie_ops.traffic.repeats import COUNTED
from oatie_ops.traffic.totals import BUCKETS, Totals, WorkerSample

BEAT, REQUESTS, ERRORS, IN_FLIGHT, CONNECTIONS, SECONDS, TIMED, ACCEPTING, LAG = range(9)
FIRST_REPEAT = 9
FIRST_BUCKET = FIRST_REPEAT + COUNTED

FIELDS = FIRST_BUCKET + BUCKETS
SLOT_BYTES = FIELDS * 8
# Two generations of the most that the schema allows, spares included; what is never used takes no memory.
MAX_WORKERS = 4096
PAGE_BYTES = SLOT_BYTES * MAX_WORKERS


if TYPE_CHECKING:
    Slot = memoryview[float]


class StatsPage:
    """The supervisor's end: owns the page and hands out slots."""

    def __init__(self) -> None:
        self.fd = _anonymous_file(PAGE_BYTES)
        self._map = mmap.mmap(self.fd, PAGE_BYTES)
        self._floats = memoryview(self._map).cast("d")
        self._free = list(range(MAX_WORKERS - 1, -1, -1))
        self._used: set[int] = set()
        self._ended = Totals()

    def acquire(self) -> int:
        slot = self._free.pop()
        for index in range(slot * FIELDS, (slot + 1) * FIELDS):
            self._floats[index] = 0.0
        self._used.add(slot)
        return slot

    def release(self, slot: int) -> None:
        """Once the worker has ended; what it counted stays in `totals`."""
        self._ended = self._ended.plus(self.read(slot))
        self._used.discard(slot)
        self._free.append(slot)

    def totals(self) -> Totals:
        totals = self._ended
        for slot in self._used:
            totals = totals.plus(self.read(slot))
        return totals

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
            buckets=tuple(map(int, values[FIRST_BUCKET:])),
            lag_seconds=values[LAG],
            repeats=tuple(values[FIRST_REPEAT:FIRST_BUCKET]),
        )

    def close(self) -> None:
        self._floats.release()
        self._map.close()
        os.close(self.fd)


def open_slot(fd: int, slot: int) -> Slot:
    """The worker's end: a writable view of its own floats."""
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
