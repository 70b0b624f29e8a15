"""How measurements are laid out in bytes. All pure; the byte order is the machine's, as the file is local.

* block: ten seconds of all series, one 32-bit float for each second (NaN: not measured);
* row: one bucket of all series;
* chunk: `CHUNK_BUCKETS` buckets of one series. Floats keep their three upper bytes (an error below
  1 in 65,000), split into planes of equal significance, which is what makes them compress well.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from oatie_ops.performance.buckets import History, blank

BLOCK_SECONDS = 10
CHUNK_BUCKETS = 360
VALUES = 4  # min, mean, max, p95
_ID_BYTES = 2
_LITTLE = array("H", [1]).tobytes()[0] == 1

Summary = tuple[int, float, float, float, float]


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


def pick_from_row(data: bytes, wanted: Iterable[int]) -> dict[int, Summary]:
    """Of these series only; a row is read far more often than all of it is wanted."""
    places, at = _places(data[: _ID_BYTES * (1 + array("H", data[:_ID_BYTES])[0])])
    n = len(places)
    counts = array("H", data[at : at + 2 * n])
    values = array("f", data[at + 2 * n :])
    found = {}
    for number in wanted:
        if (i := places.get(number)) is not None:
            found[number] = (counts[i], values[i], values[n + i], values[2 * n + i], values[3 * n + i])
    return found


# Rows that follow each other hold the same series.
@lru_cache(maxsize=16)
def _places(head: bytes) -> tuple[dict[int, int], int]:
    ids, at = _ids(head)
    return {number: i for i, number in enumerate(ids)}, at


def pack_chunk(history: History) -> bytes:
    planes = [history.counts.tobytes()]
    for column in (history.mins, history.means, history.maxes, history.p95s):
        raw = column.tobytes()
        planes += [raw[byte::4] for byte in _kept_bytes()]
    return zlib.compress(b"".join(planes), 6)


def unpack_chunk(data: bytes, series: str, start: int, step_seconds: int) -> History:
    columns = _columns(data)
    return History(series, start, step_seconds, *columns)


# A chunk that is full never changes, and a page that is shown again asks for the same ones.
@lru_cache(maxsize=64)
def _columns(data: bytes) -> tuple[array[int], array[float], array[float], array[float], array[float]]:
    raw = zlib.decompress(data)
    n = len(raw) // (2 + 3 * VALUES)
    counts = array("H", raw[: 2 * n])
    columns, at = [], 2 * n
    for _ in range(VALUES):
        spread = bytearray(4 * n)
        for byte in _kept_bytes():
            spread[byte::4] = raw[at : at + n]
            at += n
        columns.append(array("f", bytes(spread)))
    return counts, columns[0], columns[1], columns[2], columns[3]


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
