"""Sums blocks up into rows, folds rows into chunks, and forgets what is too old or too much."""

from __future__ import annotations

import sqlite3
from collections import defaultdict

from oatie_ops.performance import packing
from oatie_ops.performance.buckets import History, merge, summarise
from oatie_ops.performance.packing import CHUNK_BUCKETS, Summary
from oatie_ops.performance.tiers import (
    HOUR,
    MINUTE,
    SECOND,
    SUMS,
    TEN_MINUTES,
    THREE_HOURS,
    Keep,
    floor_to,
)
from oatie_ops.store.samplefile import SampleFile

# Rows that wait before they are folded into chunks: folding costs the same for one as for sixty.
FOLD_AT_ROWS = {MINUTE: 60, TEN_MINUTES: 36, HOUR: 24, THREE_HOURS: 16}
# What a sum is made from where its seconds are gone; its rows are not folded before that.
FINER = {TEN_MINUTES: MINUTE, HOUR: MINUTE, THREE_HOURS: HOUR}
FOLD_AT_END_OF = {MINUTE: HOUR, TEN_MINUTES: TEN_MINUTES, HOUR: THREE_HOURS, THREE_HOURS: THREE_HOURS}
# The hour's sum is made from its seconds, so they stay a little longer.
SECONDS_MARGIN = 300
PRUNE_EVERY_SECONDS = 600
SHED_SHARE = 0.1


class Folding:
    """The writer's second half; in the writer's thread."""

    def __init__(self, file: SampleFile, keep: Keep) -> None:
        self._file = file
        self._keep = keep
        marks = file.marks()
        self._summed = {step: marks.get(f"summed {step}", 0) for step in SUMS}
        self._compacted = dict.fromkeys(SUMS, 0)
        self._pruned_at = 0

    def fold(self, now: int, *, prune: bool) -> None:
        """``now``: everything before it has been written."""
        for step in SUMS:
            until = floor_to(now, step)
            # A clock that was set back: what is measured from here on is summed up anew.
            since = min(self._summed[step], until)
            if until > since:
                self._sum_up(step, since, until)
            self._summed[step] = until
        for step in SUMS:
            self._compact(step, floor_to(now, FOLD_AT_END_OF[step]))
        if abs(now - self._pruned_at) >= PRUNE_EVERY_SECONDS:
            self._pruned_at = now
            self._forget(now, by_age=prune)

    def _sum_up(self, step: int, since: int, until: int) -> None:
        written = {floor_to(at, step) for at in self._file.row_starts(SECOND, since) if at < until}
        finer = FINER.get(step)
        if finer is not None:
            written |= {floor_to(at, step) for at in self._file.row_starts(finer, since) if at < until}
        with self._file.transaction() as connection:
            for start in sorted(written):
                # The seconds of three hours are never all there.
                row = self._seconds(start, start + step) if step != THREE_HOURS else {}
                if finer is not None:
                    row = _fuller(row, self._finer(finer, start, start + step))
                connection.execute(
                    "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET data = excluded.data",
                    (step, start, packing.pack_row(row)),
                )
            connection.execute(
                "INSERT INTO marks VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (f"summed {step}", until),
            )

    def _seconds(self, start: int, end: int) -> dict[int, Summary]:
        values: dict[int, list[float]] = defaultdict(list)
        for _at, data in self._file.rows(SECOND, start, end):
            for number, column in packing.unpack_block(data).items():
                values[number].extend(column)
        return {number: summary for number, v in values.items() if (summary := summarise(v))[0]}

    def _finer(self, finer: int, start: int, end: int) -> dict[int, Summary]:
        """For a time whose seconds are gone."""
        parts: dict[int, list[Summary]] = defaultdict(list)
        for _at, data in self._file.rows(finer, start, end):
            for number, summary in packing.unpack_row(data).items():
                parts[number].append(summary)
        return {number: merge(found) for number, found in parts.items()}

    def _compact(self, step: int, until: int) -> None:
        """Rows into chunks, all at once; a chunk that has begun is read, completed and written again."""
        rows = self._file.rows(step, 0, until) if self._due(step) else []
        if len(rows) < FOLD_AT_ROWS[step]:
            return
        chunks: dict[tuple[int, int], History] = {}
        span = CHUNK_BUCKETS * step
        for at, data in rows:
            begin = floor_to(at, span)
            i = (at - begin) // step
            for number, summary in packing.unpack_row(data).items():
                chunk = chunks.get((number, begin))
                if chunk is None:
                    chunk = chunks[number, begin] = self._chunk(step, number, begin)
                (chunk.counts[i], chunk.mins[i], chunk.means[i], chunk.maxes[i], chunk.p95s[i]) = summary
        with self._file.transaction() as connection:
            connection.executemany(
                "INSERT INTO chunks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET data = excluded.data",
                [(step, number, begin, packing.pack_chunk(c)) for (number, begin), c in chunks.items()],
            )
            connection.execute("DELETE FROM rows WHERE step = ? AND start < ?", (step, until))

    def _due(self, step: int) -> bool:
        """Looked at once after each sum, not at every block."""
        due, self._compacted[step] = self._compacted[step] != self._summed[step], self._summed[step]
        return due

    def _chunk(self, step: int, number: int, begin: int) -> History:
        for _number, _begin, data in self._file.chunks(step, [number], begin, begin + 1):
            known = packing.unpack_chunk(data, "", begin, step)
            # A copy, because unpacked chunks are shared.
            return History(
                "", begin, step, known.counts[:], known.mins[:], known.means[:], known.maxes[:], known.p95s[:]
            )
        return packing.empty_chunk("", begin, step)

    def _forget(self, now: int, *, by_age: bool) -> None:
        with self._file.transaction() as connection:
            if by_age:
                keep = self._keep
                oldest = now - keep.seconds_for - SECONDS_MARGIN
                connection.execute("DELETE FROM rows WHERE step = ? AND start < ?", (SECOND, oldest))
                for step in SUMS:
                    oldest = now - keep.of(step) - CHUNK_BUCKETS * step
                    connection.execute("DELETE FROM chunks WHERE step = ? AND start < ?", (step, oldest))
                    connection.execute(
                        "DELETE FROM chunks WHERE step = ? AND start < ? AND series IN"
                        " (SELECT id FROM series WHERE name LIKE 'worker.%')",
                        (step, now - keep.workers_for - CHUNK_BUCKETS * step),
                    )
            if self._file.used_bytes() > self._keep.max_bytes:
                _shed(connection)
        self._file.shrink()


def _fuller(one: dict[int, Summary], other: dict[int, Summary]) -> dict[int, Summary]:
    """By series the summary that stands on more measurements; the first where both do."""
    chosen = dict(other)
    for number, summary in one.items():
        if number not in chosen or summary[0] >= chosen[number][0]:
            chosen[number] = summary
    return chosen


def _shed(connection: sqlite3.Connection) -> None:
    """A tenth of the chunks goes: those of single workers before those of the whole, old before new."""
    total = connection.execute("SELECT count(*) FROM chunks").fetchone()[0]
    connection.execute(
        "DELETE FROM chunks WHERE rowid IN (SELECT chunks.rowid FROM chunks JOIN series ON series.id ="
        " chunks.series ORDER BY series.name LIKE 'worker.%' DESC, chunks.start LIMIT ?)",
        (max(1, round(SHED_SHARE * total)),),
    )
