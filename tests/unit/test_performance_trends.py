"""Slopes, and what they may be called: said where it is so, silent where it is not."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oatie_ops.performance import findings
from oatie_ops.performance.findings import disk_full, fd_leak, in_words, leak, memory_full, trend
from oatie_ops.performance.samples import Samples
from oatie_ops.performance.slope import theil_sen
from oatie_ops.performance.trends import read_trends

HOUR, MB = 3600.0, 1e6
Points = list[tuple[float, float]]


def line(
    hours: float, per_hour: float, *, level: float = 100 * MB, noise: float = 0.0, seed: int = 1
) -> Points:
    made = random.Random(seed)
    count = int(hours * 60)
    return [(i * 60.0, level + per_hour * i / 60 + made.gauss(0, noise)) for i in range(count)]


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(8, 60))
def test_a_straight_line_has_its_own_slope(per_hour: float, level: float, count: int) -> None:
    found = theil_sen([(i * HOUR, level + per_hour * i) for i in range(count)])
    assert found is not None
    assert found.per_hour == pytest.approx(per_hour, rel=1e-6, abs=1e-4)
    assert found.low <= found.per_hour <= found.high


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_a_quarter_of_outliers_does_not_turn_a_slope(seed: int) -> None:
    made = random.Random(seed)
    points = [
        (i * 60.0, i + made.gauss(0, 0.5) + (made.choice((-1, 1)) * 1e4 if i % 5 == 0 else 0))
        for i in range(120)
    ]
    found = theil_sen(points)
    assert found is not None
    assert found.per_hour == pytest.approx(60, rel=0.2)


def test_too_few_points_say_nothing() -> None:
    assert theil_sen([(float(i), 1.0) for i in range(7)]) is None
    assert trend(line(0.4, 100 * MB)) is None


def test_a_leak_is_found_with_its_rate() -> None:
    found = leak(line(6, 12 * MB, noise=0.5 * MB), "worker.2.rss_bytes", "worker 2", born=0.0)
    assert found is not None
    assert found.message.startswith("memory leak of 12 MB/h")
    assert found.message.endswith("in worker 2")
    assert found.low_per_hour <= 12 * MB <= found.high_per_hour


def test_a_cache_that_fills_up_is_no_leak() -> None:
    points = [(i * 60.0, 200 * MB - 100 * MB * math.exp(-i / 30)) for i in range(360)]
    assert leak(points, "s", "worker 1", born=0.0) is None


def test_a_step_is_no_leak() -> None:
    points = [(i * 60.0, 100 * MB + (60 * MB if i > 180 else 0)) for i in range(360)]
    assert leak(points, "s", "worker 1", born=0.0) is None


def test_a_daily_wave_is_no_leak() -> None:
    points = [(i * 600.0, 300 * MB + 50 * MB * math.sin(i * 600 / 86_400 * 2 * math.pi)) for i in range(144)]
    assert leak(points, "s", "worker 1", born=-1000.0) is None


def test_noise_is_not_called_a_leak() -> None:
    called = sum(
        leak(line(6, 0.0, noise=5 * MB, seed=seed), "s", "worker 1", born=0.0) is not None
        for seed in range(200)
    )
    assert called == 0


def test_what_came_before_the_process_was_born_does_not_count() -> None:
    old = [(i * 60.0, 50 * MB + i * MB) for i in range(300)]
    young = [(18_000 + i * 60.0, 100 * MB) for i in range(60)]
    assert leak(old + young, "s", "worker 1", born=18_000.0) is None


def test_open_files_leak_too() -> None:
    found = fd_leak([(i * 60.0, 30 + i // 2) for i in range(240)], "s", "worker 3", born=0.0)
    assert found is not None
    assert found.message.startswith("leak of 30 open files an hour")


def test_a_disk_that_fills_tells_when() -> None:
    free = line(24, -1e9, level=144e9, noise=1e8)
    found = disk_full(free, "host.disk_free_bytes", "of .oatie")
    assert found is not None
    assert found.eta_seconds == pytest.approx(120 * HOUR, rel=0.05)
    assert found.message.startswith("disk full (of .oatie) in 5 days")
    assert found.eta_low_seconds is not None and found.eta_high_seconds is not None
    assert found.eta_low_seconds <= found.eta_seconds <= found.eta_high_seconds


def test_it_is_not_looked_further_ahead_than_the_past_allows() -> None:
    assert disk_full(line(1, -1e9, level=144e9), "s", "/") is None
    assert disk_full(line(24, 1e9, level=144e9), "s", "/") is None


def test_memory_that_runs_out_soon_is_severe() -> None:
    found = memory_full(line(6, 100 * MB, level=1000 * MB), "s", 2000 * MB, "the control group")
    assert found is not None
    assert (found.kind, found.severity) == ("memory-full", "fail")
    assert found.eta_seconds == pytest.approx(4 * HOUR, rel=0.05)


def test_times_are_told_in_units_that_people_use() -> None:
    assert [in_words(s) for s in (30, 200, 3 * HOUR, 47 * HOUR, 120 * HOUR)] == [
        "30 seconds", "3 minutes", "3 hours", "47 hours", "5 days"
    ]  # fmt: skip
    assert findings.MIN_POINTS > 8


# --- read from a file -----------------------------------------------------------------------------------


def test_what_was_read_is_given_again_until_something_is_written(tmp_path: Path) -> None:
    path, began = tmp_path / "samples.db", 1_700_000_000 // 3600 * 3600
    until = began + 1800.0
    samples = Samples(path)
    try:
        for minute in range(20):
            for second in range(0, 60, 2):
                samples.add(began + 60 * minute + second, {"host.cpu_percent": float(minute)})
            samples.flush()
            found = read_trends(path, 1, until=until)
            measured = [mean for mean in found.series["host.cpu_percent"].history.means if mean == mean]
            assert max(measured, default=0.0) == minute
            assert read_trends(path, 1, until=until) is found
            assert json.loads(found.json) == found.as_dict()
    finally:
        samples.close()
    closed = read_trends(path, 1, until=until)
    assert closed.as_dict() == found.as_dict()
    assert read_trends(path, 2, until=until).length > closed.length
    path.unlink()
    assert read_trends(path, 1, until=until).series == {}
