"""A recorded load: one row per moment, as CSV. What is wrong with it is said with its line.

Rows further apart than a step are joined by straight lines, rows closer together are averaged within each
step. Where nothing was recorded for more than an hour (and more than five times the usual interval), the
load is unknown: the steps there are gaps, never nought.
"""

from __future__ import annotations

import csv
import difflib
import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.errors import UsageError

TIME_COLUMN = "t_s"
GAP_SECONDS = 3600.0
GAP_INTERVALS = 5
SECONDS_OF_YEAR_5138 = 1e11
MOST_STEPS = 5_000_000


class BadTrace(UsageError):
    """The file is not a load that can be replayed."""


@dataclass(frozen=True)
class Trace:
    """``points``: (seconds from the first row, load), strictly later and never negative.

    ``missing``: the lines without a value. ``begin``: the time of the first row, as the file has it.
    """

    column: str
    points: tuple[tuple[float, float], ...]
    missing: tuple[int, ...] = ()
    begin: float = 0.0

    @property
    def seconds(self) -> float:
        return self.points[-1][0]

    @property
    def interval_seconds(self) -> float:
        """The usual distance of two rows."""
        times = [t for t, _ in self.points]
        return statistics.median(later - earlier for earlier, later in itertools.pairwise(times))


def read_trace(path: Path, column: str | None = None) -> Trace:
    """Raises `BadTrace`. ``column`` None: the first one after ``t_s``."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadTrace(f"cannot read the trace {path}", why=str(error.strerror)) from error
    except UnicodeDecodeError as error:
        raise BadTrace(f"{path} is not a CSV text file", why=f"byte {error.start} is not UTF-8") from error
    if "\0" in text:
        raise BadTrace(f"{path} is not a CSV text file", why=f"byte {text.index(chr(0))} is nought")
    return parse_trace(text, str(path), column)


def parse_trace(text: str, name: str, column: str | None = None) -> Trace:
    rows = csv.reader(text.splitlines())
    header = [cell.strip() for cell in next(rows, [])]
    if not header:
        raise BadTrace(f"{name} is empty", fix=f"the first line names the columns: {TIME_COLUMN},load")
    chosen = _choose_column(header, name, column)
    points: list[tuple[float, float]] = []
    missing: list[int] = []
    for line, time, value in _values(rows, header, chosen, name):
        if points and time <= points[-1][0]:
            raise _out_of_order(name, line, points[-1][0], time)
        if value is None:
            missing.append(line)
        else:
            points.append((time, value))
    if len(points) < 2:
        how_many = "one row" if points else "no row"
        raise BadTrace(f"{name} has {how_many} with a value", fix="a trace needs at least two")
    if len(missing) > len(points):
        raise BadTrace(
            f"column {chosen} of {name} is mostly empty",
            why=f"{len(missing)} of {len(missing) + len(points)} rows have no value",
        )
    begin = points[0][0]
    return Trace(chosen, tuple((time - begin, value) for time, value in points), tuple(missing), begin)


def _choose_column(header: Sequence[str], name: str, column: str | None) -> str:
    listed = ", ".join(header)
    if TIME_COLUMN not in header:
        raise BadTrace(
            f"{name} has no column {TIME_COLUMN}",
            why=f"its first line names: {listed}",
            fix=f"name the column of seconds {TIME_COLUMN}",
        )
    others = [known for known in header if known != TIME_COLUMN]
    if not others:
        raise BadTrace(f"{name} has no column of loads", why=f"its first line names: {listed}")
    if column is None:
        return others[0]
    if column not in others:
        close = difflib.get_close_matches(column, others, 1)
        raise BadTrace(
            f"{name} has no column {column!r}",
            why=f"it has: {', '.join(others)}",
            fix=f"did you mean --column {close[0]}?" if close else "choose one of them with --column",
        )
    return column


def _values(
    rows: Iterator[list[str]], header: Sequence[str], column: str, name: str
) -> Iterator[tuple[int, float, float | None]]:
    """Line, seconds, load; None where the cell is empty or NaN."""
    time_at, value_at = header.index(TIME_COLUMN), header.index(column)
    for line, row in enumerate(rows, 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= max(time_at, value_at):
            raise BadTrace(
                f"{name}, line {line}: {len(row)} cells instead of {len(header)}", why=",".join(row)[:80]
            )
        time = _number(row[time_at], name, line, TIME_COLUMN)
        if time is None:
            raise BadTrace(f"{name}, line {line}: no time", why=f"{TIME_COLUMN} is empty or NaN")
        if abs(time) >= SECONDS_OF_YEAR_5138:
            raise BadTrace(
                f"{name}, line {line}: {TIME_COLUMN} is not in seconds",
                why=f"{row[time_at].strip()} would be millennia away; milliseconds since 1970 look like that",
                fix=f"divide {TIME_COLUMN} by 1000 (milliseconds)",
            )
        value = _number(row[value_at], name, line, column)
        if value is not None and value < 0:
            raise BadTrace(
                f"{name}, line {line}: negative load",
                why=f"{column} is {row[value_at].strip()}",
                fix="a counter that was reset? Give rates; leave the cell empty where the load is not known",
            )
        yield line, time, value


def _number(cell: str, name: str, line: int, column: str) -> float | None:
    text = cell.strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise BadTrace(f"{name}, line {line}: {column} is not a number", why=repr(text[:40])) from None
    if math.isinf(value):
        raise BadTrace(f"{name}, line {line}: {column} is infinite", why=repr(text[:40]))
    return None if math.isnan(value) else value


def _out_of_order(name: str, line: int, before: float, time: float) -> BadTrace:
    if time == before:
        return BadTrace(
            f"{name}, line {line}: the time {time:g} appears twice",
            why="which of the two loads is right cannot be told",
            fix="keep one row per time",
        )
    return BadTrace(
        f"{name}, line {line}: the time goes back from {before:g} to {time:g}",
        why="the rows are not sorted, or the clock was set back there",
        fix=f"sort the rows by {TIME_COLUMN}; where a clock was set back, replay the two parts one by one",
    )


def steps_of(trace: Trace, step_seconds: float) -> list[float | None]:
    """The load of every step from the first row on; None in a gap. Only whole steps."""
    if trace.seconds / step_seconds > MOST_STEPS:
        raise BadTrace(
            f"the trace has {trace.seconds / step_seconds:.0f} steps of {step_seconds:g} s",
            why=f"its times span {trace.seconds:.0f} s; at most {MOST_STEPS} steps are replayed",
            fix="check that t_s is in seconds, or take a longer --step",
        )
    interval = trace.interval_seconds
    longest = max(GAP_SECONDS, GAP_INTERVALS * interval, step_seconds)
    if interval < step_seconds * 0.999:
        return _averaged(trace, step_seconds, longest)
    return _interpolated(trace, step_seconds, longest)


def _interpolated(trace: Trace, step_seconds: float, longest_seconds: float) -> list[float | None]:
    points = trace.points
    values: list[float | None] = []
    at = 0
    for index in range(int(trace.seconds // step_seconds) + 1):
        time = index * step_seconds
        while at + 1 < len(points) and points[at + 1][0] <= time:
            at += 1
        earlier, value = points[at]
        if earlier == time or at + 1 == len(points):
            values.append(value)
            continue
        later, next_value = points[at + 1]
        if later - earlier > longest_seconds:
            values.append(None)
        else:
            values.append(value + (next_value - value) * (time - earlier) / (later - earlier))
    return values


def _averaged(trace: Trace, step_seconds: float, longest_seconds: float) -> list[float | None]:
    """The mean of the rows in each step; a step without rows takes the one before, unless in a gap."""
    whole = int((trace.seconds + trace.interval_seconds * 1.001) // step_seconds)
    sums, counts = [0.0] * whole, [0] * whole
    for time, value in trace.points:
        index = int(time // step_seconds)
        if index < whole:
            sums[index] += value
            counts[index] += 1
    values: list[float | None] = []
    empty = 0
    for total, count in zip(sums, counts, strict=True):
        empty = 0 if count else empty + 1
        if count:
            values.append(total / count)
        else:
            values.append(values[-1] if values and empty * step_seconds <= longest_seconds else None)
    return values


def quantile(values: Sequence[float], share: float) -> float:
    """Linear interpolation between the order statistics."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
