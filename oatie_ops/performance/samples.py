"""Reads and writes the history of measurements: `Samples` writes (one process), `Reader` reads (anybody).

The way of a measurement: it waits up to ten seconds in memory, is written in a block of ten seconds, is
summed up into the row of its minute and of its hour, and the rows are at last folded into chunks by series.
Each sum is computed from what is in the file, so a restart loses at most what waited, and a sum that is
made twice is the same.
"""

from __future__ import annotations

import fcntl
import math
import os
import time
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from oatie_ops.performance import packing
from oatie_ops.performance.buckets import History, blank
from oatie_ops.performance.folding import Folding
from oatie_ops.performance.packing import BLOCK_SECONDS, CHUNK_BUCKETS
from oatie_ops.performance.tiers import DEFAULT_KEEP, SECOND, Keep, choose_step, floor_to
from oatie_ops.store.errors import StoreBusy, StoreError
from oatie_ops.store.samplefile import BUSY_TIMEOUT_SECONDS, SampleFile

FILE_NAME = "samples.db"
NAN = float("nan")
# Blocks that wait for a file that is locked or full: ten minutes.
KEEP_WAITING = 60


def samples_path(home: Path) -> Path:
    return home / FILE_NAME


class Samples:
    """The one writer. Belongs to the thread that made it. ``problem`` says why nothing can be written."""

    def __init__(
        self, path: Path, keep: Keep = DEFAULT_KEEP, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS
    ) -> None:
        """Raises `StoreError`; `StoreBusy` where another process measures into this file."""
        self._lock = _lock(path)
        try:
            self.file = SampleFile(path, busy_timeout_seconds=busy_timeout_seconds)
        except BaseException:
            os.close(self._lock)
            raise
        self._folding = Folding(self.file, keep)
        self._ids = self.file.series()
        self._block: dict[int, array[float]] = {}
        self._start = 0
        self._waiting: dict[int, dict[int, array[float]]] = {}

    def add(self, at: int, values: Mapping[str, float], *, prune: bool = True) -> None:
        """What was measured in the second ``at`` (epoch). Writes when a block is full.

        ``prune`` False: nothing is deleted for its age, because the clock cannot be trusted. Raises
        `StoreError`; what could not be written waits for the next time.
        """
        start = floor_to(at, BLOCK_SECONDS)
        full = start != self._start
        if full:
            self._set_aside()
            self._start = start
        missing = [name for name in values if name not in self._ids]
        if missing:
            self._ids = self.file.add_series(missing)
        block, slot = self._block, at - start
        for name, value in values.items():
            number = self._ids[name]
            column = block.get(number)
            if column is None:
                column = block[number] = array("f", [NAN]) * BLOCK_SECONDS
            column[slot] = value
        if full:
            self._write(prune=prune)

    def flush(self, *, prune: bool = True) -> None:
        """Writes what waits, sums up what is complete, deletes what is too old. Raises `StoreError`."""
        self._set_aside()
        self._write(prune=prune)

    def _set_aside(self) -> None:
        if self._block:
            before = self._waiting.pop(self._start, {})
            self._waiting[self._start] = _filled_up(self._block, before)
            self._block = {}
        while len(self._waiting) > KEEP_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def _write(self, *, prune: bool) -> None:
        if not self._waiting:
            return
        with self.file.transaction() as connection:
            for start, block in self._waiting.items():
                connection.execute(
                    "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET data = excluded.data",
                    (SECOND, start, packing.pack_block(self._with_written(start, block))),
                )
        newest = max(self._waiting) + BLOCK_SECONDS
        self._waiting = {}
        self._folding.fold(newest, prune=prune)

    def close(self) -> None:
        self.file.close()
        os.close(self._lock)

    def _with_written(self, start: int, block: dict[int, array[float]]) -> dict[int, array[float]]:
        """After a restart, or a clock that was set back, the block may be there: what is new goes before."""
        for _start, data in self.file.rows(SECOND, start, start + 1):
            return _filled_up(block, packing.unpack_block(data))
        return block


def _filled_up(block: dict[int, array[float]], before: Mapping[int, array[float]]) -> dict[int, array[float]]:
    """``block``, with what only ``before`` has."""
    for number, known in before.items():
        column = block.setdefault(number, known)
        for slot, value in enumerate(known):
            if math.isnan(column[slot]):
                column[slot] = value
    return block


def _lock(path: Path) -> int:
    """A descriptor that holds the right to write as long as it is open (flock(2))."""
    lock = path.with_suffix(".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"{lock} cannot be opened for writing",
            why=error.strerror or str(error),
            fix=f"make {path.parent} writable for this user",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreBusy(
            f"another process measures into {path}",
            why=f"it holds {lock}",
            fix="its measurements can be read by anybody; nothing needs to be done",
        ) from error
    return descriptor


class Reader:
    """Reads the file that another process may be writing. Belongs to the thread that opened it."""

    def __init__(
        self, path: Path, keep: Keep = DEFAULT_KEEP, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS
    ) -> None:
        """Raises `FileNotFoundError` where nothing was ever measured, and `StoreError`."""
        self.file = SampleFile(path, read_only=True, busy_timeout_seconds=busy_timeout_seconds)
        self._keep = keep
        self._ids = self.file.series()

    def names(self) -> list[str]:
        return list(self._ids)

    def history(
        self, name: str, seconds: float, *, step_seconds: int | None = None, until: float | None = None
    ) -> History:
        """See `histories`."""
        return self.histories([name], seconds, step_seconds=step_seconds, until=until)[name]

    def histories(
        self,
        names: Iterable[str],
        seconds: float,
        *,
        step_seconds: int | None = None,
        until: float | None = None,
    ) -> dict[str, History]:
        """The last ``seconds`` before ``until`` (epoch; now) of each series, gaps as gaps.

        ``step_seconds``: 1, 60, 600 or 3600; without it the finest that reaches so far in a readable number
        of buckets. The last bucket may still be growing and is then left out. A name that was never measured
        is all gap.
        """
        step = step_seconds or choose_step(seconds, self._keep)
        end = floor_to(time.time() if until is None else until, step)
        start = floor_to(end - seconds, step)
        wanted = list(names)
        found = {name: blank(name, start, step, (end - start) // step) for name in wanted}
        by_id = {self._ids[name]: found[name] for name in wanted if name in self._ids}
        if step == SECOND:
            self._read_blocks(by_id, start, end)
        else:
            self._read_chunks(by_id, step, start, end)
            self._read_rows(by_id, step, start, end)
        return found

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_chunks(self, by_id: Mapping[int, History], step: int, start: int, end: int) -> None:
        span = CHUNK_BUCKETS * step
        for number, begin, data in self.file.chunks(step, by_id, floor_to(start, span), end):
            first, last = max(start, begin), min(end, begin + span)
            a, b = (first - begin) // step, (last - begin) // step
            counts, mins, means, maxes, p95s = packing.unpack_columns(data)
            cut = counts[a:b], mins[a:b], means[a:b], maxes[a:b], p95s[a:b]
            self._put(by_id[number], (first - start) // step, cut)

    def _read_rows(self, by_id: Mapping[int, History], step: int, start: int, end: int) -> None:
        for rows in packing.tables(self.file.rows(step, start, end), step):
            i = (rows.start - start) // step
            for number, into in by_id.items():
                if (columns := rows.columns(number)) is not None:
                    self._put(into, i, columns)

    @staticmethod
    def _put(into: History, i: int, columns: packing.Columns) -> None:
        counts, mins, means, maxes, p95s = columns
        j = i + len(counts)
        into.counts[i:j], into.mins[i:j], into.means[i:j] = counts, mins, means
        into.maxes[i:j], into.p95s[i:j] = maxes, p95s

    def _read_blocks(self, by_id: Mapping[int, History], start: int, end: int) -> None:
        for at, data in self.file.rows(SECOND, start - BLOCK_SECONDS + 1, end):
            block = packing.unpack_block(data)
            for number, into in by_id.items():
                for slot, value in enumerate(block.get(number, ())):
                    i = at + slot - start
                    if 0 <= i < len(into) and not math.isnan(value):
                        into.counts[i] = 1
                        into.mins[i] = into.means[i] = into.maxes[i] = into.p95s[i] = value


def history(
    path: Path,
    series: str,
    *,
    hours: float = 0.0,
    seconds: float = 0.0,
    step_seconds: int | None = None,
    until: float | None = None,
) -> History:
    """One series of the file at ``path``; all gap where nothing was ever measured. Raises `StoreError`."""
    span = hours * 3600 + seconds
    try:
        with Reader(path) as reader:
            return reader.history(series, span, step_seconds=step_seconds, until=until)
    except FileNotFoundError:
        step = step_seconds or choose_step(span)
        end = floor_to(time.time() if until is None else until, step)
        start = floor_to(end - span, step)
        return blank(series, start, step, (end - start) // step)
