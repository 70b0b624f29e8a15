"""How measurements are laid out in bytes. All pure; the byte order is the machine's, as the file is local.

* block: ten seconds of all series, one 32-bit float for each second (NaN: not measured);
* row: one bucket of all series;
* chunk: `CHUNK_BUCKETS` buckets of one series. Floats keep their three upper bytes (an error below
  1 in 65,000), split into planes of equal significance, which is what makes them compress well.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from oatie_ops.performance.buckets import History, blank

BLOCK_SECONDS = 10
CHUNK_BUCKETS = 180
VALUES = 4  # min, mean, max, p95
_ID_BYTES = _COUNT_BYTES = 2
_LITTLE = sys.byteorder == "little"

Summary = tuple[int, float, float, float, float]
# Counts, minima, means, maxima, percentiles.
Columns = tuple["array[int]", "array[float]", "array[float]", "array[float]", "array[float]"]


def pack_block(block: Mapping[int, Sequence[float]]) -> bytes:
    """``block``: by series, one value for each of `BLOCK_SECONDS`."""
    values = array("f")
    for series in block.values():
        values.extend(series)
    return _head(list(block)) + values.tobytes()


def unpack_block(data: bytes) -> dict[int, array[float]]:
    ids, at = _ids(data)
    values = array("f", data[at:])
    return {number: values[i * BLOCK_SECONDS : (i + 1) * BLOCK_SECONDS] for i, number in enumerate(ids)}


def pack_row(row: Mapping[int, Summary]) -> bytes:
    """``row``: by series (count, min, mean, max, p95)."""
    columns = list(zip(*row.values(), strict=True)) or [()] * (VALUES + 1)
    data = _head(list(row)) + array("H", columns[0]).tobytes()
    return data + b"".join(array("f", column).tobytes() for column in columns[1:])


def unpack_row(data: bytes) -> dict[int, Summary]:
    ids, at = _ids(data)
    n = len(ids)
    counts = array("H", data[at : at + 2 * n])
    values = array("f", data[at + 2 * n :])
    columns = (values[i * n : (i + 1) * n] for i in range(VALUES))
    return dict(zip(ids, zip(counts, *columns, strict=True), strict=True))


@dataclass(frozen=True)
class Rows:
    """Rows of the same series that follow each other without a hole, as one table."""

    start: int
    length: int
    places: Mapping[int, int]
    _counts: array[int]
    _values: array[float]

    def columns(self, number: int) -> Columns | None:
        """Of one series; None where it is not in them."""
        i, n = self.places.get(number), len(self.places)
        if i is None:
            return None
        mins, means, maxes, p95s = (self._values[k * n + i :: VALUES * n] for k in range(VALUES))
        return self._counts[i::n], mins, means, maxes, p95s


def tables(rows: Sequence[tuple[int, bytes]], step_seconds: int) -> Iterator[Rows]:
    """``rows``: (start, data), oldest first. Whole columns are then cut out of them at once."""
    for (head, _), group in groupby(
        enumerate(rows), key=lambda entry: (_head_of(entry[1][1]), entry[1][0] - entry[0] * step_seconds)
    ):
        found = [row for _, row in group]
        places, at = _places(head)
        end = at + _COUNT_BYTES * len(places)
        counts = array("H", b"".join(data[at:end] for _, data in found))
        values = array("f", b"".join(data[end:] for _, data in found))
        yield Rows(found[0][0], len(found), places, counts, values)


def _head_of(data: bytes) -> bytes:
    return data[: _ID_BYTES * (1 + int.from_bytes(data[:_ID_BYTES], sys.byteorder))]


# Rows that follow each other hold the same series.
@lru_cache(maxsize=16)
def _places(head: bytes) -> tuple[dict[int, int], int]:
    ids, at = _ids(head)
    return {number: i for i, number in enumerate(ids)}, at


def pack_chunk(history: History) -> bytes:
    columns = (history.mins, history.means, history.maxes, history.p95s)
    raw = b"".join(column.tobytes() for column in columns)
    planes = (raw[byte::4] for byte in _kept_bytes())
    return zlib.compress(history.counts.tobytes() + b"".join(planes), 6)


def unpack_chunk(data: bytes, series: str, start: int, step_seconds: int) -> History:
    return History(series, start, step_seconds, *unpack_columns(data))


# A chunk that is full never changes, and a page that is shown again asks for the same ones.
@lru_cache(maxsize=128)
def unpack_columns(data: bytes) -> Columns:
    """Of a chunk. They are shared: to be copied or cut from, never written to."""
    raw = zlib.decompress(data)
    n = len(raw) // (_COUNT_BYTES + 3 * VALUES)
    spread, at = bytearray(4 * VALUES * n), _COUNT_BYTES * n
    for byte in _kept_bytes():
        spread[byte::4] = raw[at : at + VALUES * n]
        at += VALUES * n
    values = array("f", bytes(spread))
    mins, means, maxes, p95s = (values[i * n : (i + 1) * n] for i in range(VALUES))
    return array("H", raw[: _COUNT_BYTES * n]), mins, means, maxes, p95s


def empty_chunk(series: str, start: int, step_seconds: int) -> History:
    return blank(series, start, step_seconds, CHUNK_BUCKETS)


def _kept_bytes() -> tuple[int, int, int]:
    """Of a float's four bytes all but the least significant."""
    return (1, 2, 3) if _LITTLE else (0, 1, 2)


def _head(ids: Sequence[int]) -> bytes:
    return array("H", [len(ids), *ids]).tobytes()


def _ids(data: bytes) -> tuple[array[int], int]:
    """The series of a block or row, and where the rest begins."""
    n = array("H", data[:_ID_BYTES])[0]
    end = _ID_BYTES * (n + 1)
    return array("H", data[_ID_BYTES:end]), end
