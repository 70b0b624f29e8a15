"""The history of measurements: what goes in comes out, in every tier, whatever clock, crash or disk do."""

from __future__ import annotations

import math
import sqlite3
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oatie_ops.performance import packing
from oatie_ops.performance.buckets import History, blank, coarser, merge, percentile, summarise
from oatie_ops.performance.samples import Reader, Samples, history
from oatie_ops.performance.tiers import DAY, HOUR, MINUTE, SECOND, TEN_MINUTES, THREE_HOURS, Keep, choose_step
from oatie_ops.store.errors import StoreBusy, StoreError, StoreFull

START = 1_790_000_000 // DAY * DAY
FLOATS = st.floats(-(2.0**40), 2.0**40, width=32, allow_subnormal=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "samples.db"


def fill(samples: Samples, since: int, until: int, *, name: str = "host.cpu_percent", step: int = 1) -> None:
    for at in range(since, until, step):
        samples.add(at, {name: value_at(at)})


def value_at(at: int) -> float:
    return float(at % 97)


def read(path: Path, seconds: int, until: int, step: int, name: str = "host.cpu_percent") -> History:
    return history(path, name, seconds=seconds, until=until, step_seconds=step)


def test_every_tier_holds_what_was_measured(path: Path) -> None:
    samples = Samples(path)
    end = START + 3 * HOUR
    fill(samples, START, end)
    samples.flush()
    with Reader(path) as reader:
        for step in (SECOND, MINUTE, TEN_MINUTES, HOUR):
            found = reader.history("host.cpu_percent", HOUR, until=end, step_seconds=step)
            assert len(found) == HOUR // step
            assert found.gaps == 0
            for bucket in found.buckets():
                start = int(bucket.start)
                values = sorted(value_at(at) for at in range(start, start + step))
                assert bucket.count == step
                assert bucket.min == values[0]
                assert bucket.max == values[-1]
                assert bucket.mean == pytest.approx(sum(values) / step, rel=1e-4)
                assert bucket.p95 == pytest.approx(percentile(values), rel=1e-4)


def test_gaps_are_gaps(path: Path) -> None:
    samples = Samples(path)
    fill(samples, START, START + 120)
    fill(samples, START + 600, START + 720)
    samples.flush()
    found = read(path, 720, START + 720, MINUTE)
    assert list(found.counts) == [60, 60, 0, 0, 0, 0, 0, 0, 0, 0, 60, 60]
    assert all(math.isnan(found.means[i]) for i in range(2, 10))
    assert len(found.points()) == 4


def test_a_restart_in_the_middle_of_a_block_and_of_a_minute_loses_nothing_that_was_written(
    path: Path,
) -> None:
    first = Samples(path)
    fill(first, START, START + 33)
    first.flush()
    first.close()
    second = Samples(path)
    fill(second, START + 36, START + 60)
    second.flush()
    found = read(path, 60, START + 60, MINUTE)
    assert list(found.counts) == [57]
    assert read(path, 60, START + 60, SECOND).gaps == 3


def test_a_clock_that_is_set_back_writes_over_what_the_wrong_clock_dated(path: Path) -> None:
    samples = Samples(path)
    fill(samples, START, START + 600)
    for at in range(START + 300, START + 420):
        samples.add(at, {"host.cpu_percent": 1000.0})
    samples.flush()
    found = read(path, 600, START + 600, MINUTE)
    assert [mean == 1000.0 for mean in found.means] == [False] * 5 + [True] * 2 + [False] * 3


def test_a_clock_that_jumps_ahead_deletes_nothing_while_it_is_not_trusted(path: Path) -> None:
    samples = Samples(path)
    fill(samples, START, START + 7200)
    later = START + 20 * 365 * DAY
    for at in range(later, later + 1300):
        samples.add(at, {"host.cpu_percent": 1.0}, prune=False)
    samples.flush(prune=False)
    assert read(path, HOUR, START + 7200, MINUTE).gaps == 0
    for at in range(later + 1300, later + 2600):
        samples.add(at, {"host.cpu_percent": 1.0})
    samples.flush()
    assert read(path, 600, START + 7200, SECOND).gaps == 600
    assert read(path, 600, later + 2600, SECOND).gaps == 0


def test_what_is_too_old_is_forgotten_tier_by_tier(path: Path) -> None:
    keep = Keep(seconds_for=600, minutes_for=2 * HOUR, hours_for=30 * DAY)
    samples = Samples(path, keep)
    end = START + DAY
    fill(samples, START, end, step=5)
    samples.flush()
    assert samples.file.row_starts(SECOND, 0)[0] >= end - 600 - 600 - 300
    assert read(path, DAY, end, HOUR).gaps == 0
    oldest_minute = next(read(path, DAY, end, MINUTE).buckets()).start
    assert START < oldest_minute <= end - 2 * HOUR


def test_the_file_stays_within_its_bound(path: Path) -> None:
    keep = Keep(max_bytes=200_000)
    samples = Samples(path, keep)
    for at in range(START, START + DAY, 20):
        values = {f"worker.{n}.rss_bytes": math.sin(at * n) for n in range(1, 9)}
        samples.add(at, {**values, "host.cpu_percent": math.cos(at)})
    samples.flush()
    assert samples.file.used_bytes() < 1.3 * keep.max_bytes
    # Single workers are given up before the machine.
    assert read(path, DAY, START + DAY, MINUTE).gaps <= 1  # the last is not complete
    assert read(path, DAY, START + DAY, MINUTE, "worker.3.rss_bytes").gaps > 0


def test_a_locked_file_costs_nothing_but_time(path: Path) -> None:
    samples = Samples(path, busy_timeout_seconds=0.05)
    fill(samples, START, START + 10)
    samples.flush()
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    samples.add(START + 10, {"host.cpu_percent": 1.0})
    with pytest.raises(StoreError):
        samples.flush()
    for at in range(START + 11, START + 20):
        samples.add(at, {"host.cpu_percent": 1.0})
    with pytest.raises(StoreError):
        samples.add(START + 20, {"host.cpu_percent": 1.0})
    locker.execute("ROLLBACK")
    locker.close()
    samples.add(START + 21, {"host.cpu_percent": 1.0})
    samples.flush()
    assert list(read(path, 20, START + 20, SECOND).counts) == [1] * 20


def test_a_file_that_is_no_database_is_told_apart(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    with pytest.raises(StoreError, match="damaged"):
        Samples(path)


def test_nothing_measured_yet_is_all_gap(path: Path) -> None:
    found = history(path, "host.cpu_percent", hours=1, until=START)
    assert (len(found), found.gaps) == (60, 60)
    Samples(path).close()
    assert history(path, "no.such.series", hours=1, until=START).gaps == 60


def test_the_tier_fits_the_question() -> None:
    assert [choose_step(hours * HOUR) for hours in (1, 24, 24 * 30)] == [MINUTE, TEN_MINUTES, THREE_HOURS]
    assert choose_step(HOUR, Keep(minutes_for=HOUR // 2, ten_minutes_for=0)) == HOUR


@given(st.lists(st.lists(st.one_of(FLOATS, st.just(math.nan)), min_size=10, max_size=10), max_size=5))
def test_blocks_come_back_as_they_were(columns: list[list[float]]) -> None:
    block = {number: array("f", column) for number, column in enumerate(columns)}
    found = packing.unpack_block(packing.pack_block(block))
    assert {n: c.tobytes() for n, c in found.items()} == {n: c.tobytes() for n, c in block.items()}


@given(
    st.dictionaries(st.integers(0, 65535), st.tuples(st.integers(1, 3600), FLOATS, FLOATS, FLOATS, FLOATS))
)
def test_rows_come_back_as_they_were(row: dict[int, packing.Summary]) -> None:
    assert packing.unpack_row(packing.pack_row(row)) == row


@settings(max_examples=25)
@given(st.lists(FLOATS, min_size=1, max_size=400))
def test_chunks_keep_five_digits(values: list[float]) -> None:
    chunk = blank("x", 0, 60, len(values))
    for i, value in enumerate(values):
        chunk.counts[i] = i % 61
        chunk.mins[i] = chunk.means[i] = chunk.maxes[i] = chunk.p95s[i] = value
    found = packing.unpack_chunk(packing.pack_chunk(chunk), "x", 0, 60)
    assert found.counts == chunk.counts
    assert list(found.means) == pytest.approx(values, rel=1 / 32768)


@given(st.lists(st.lists(FLOATS, min_size=1, max_size=30), min_size=1, max_size=10))
def test_a_merged_bucket_is_that_of_all_its_values(parts: list[list[float]]) -> None:
    everything = [value for part in parts for value in part]
    whole, merged = summarise(everything), merge([summarise(part) for part in parts])
    assert (merged[0], merged[1], merged[3]) == (whole[0], whole[1], whole[3])
    assert merged[2] == pytest.approx(whole[2], rel=1e-6, abs=1e-3)
    assert min(summarise(part)[4] for part in parts) <= merged[4] <= max(summarise(part)[4] for part in parts)


def test_coarser_keeps_gaps_apart() -> None:
    fine = blank("x", START, 60, 7)
    for i in (0, 1, 6):
        fine.counts[i] = 60
        fine.mins[i], fine.means[i], fine.maxes[i], fine.p95s[i] = i, i + 1, i + 2, i + 1.5
    found = coarser(fine, 3)
    assert list(found.counts) == [120, 0, 60]
    assert (found.mins[0], found.means[0], found.maxes[0]) == (0, 1.5, 3)
    assert found.step_seconds == 180


def test_a_file_that_is_full_is_told_apart_and_written_again_once_there_is_room(path: Path) -> None:
    samples = Samples(path)
    fill(samples, START, START + 10)
    samples.flush()
    pages = samples.file.read("PRAGMA page_count")[0][0]
    samples.file.read(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull):
        for at in range(START + 10, START + 400):
            samples.add(at, {f"worker.{n}.rss_bytes": float(at) for n in range(40)})
    samples.file.read("PRAGMA max_page_count = 1000000")
    samples.flush()
    assert read(path, 10, START + 20, SECOND, "worker.3.rss_bytes").gaps == 0


def test_two_processes_do_not_measure_into_one_file(path: Path) -> None:
    first = Samples(path)
    with pytest.raises(StoreBusy):
        Samples(path)
    first.close()
    Samples(path).close()


def test_a_month_is_summed_up_from_its_hours(path: Path) -> None:
    samples = Samples(path)
    end = START + 2 * DAY
    fill(samples, START, end + 120, step=60)
    samples.flush()
    found = read(path, DAY, end, THREE_HOURS)
    assert (len(found), found.gaps) == (8, 0)
    assert list(found.counts) == [180] * 8
    exact = [value_at(at) for at in range(end - THREE_HOURS, end, 60)]
    assert found.means[-1] == pytest.approx(sum(exact) / len(exact), rel=1e-3)
    assert found.maxes[-1] == max(exact)
