"""The sampler's thread with a source made by hand: what goes wrong beside it does not stop it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from oatie_ops.performance.readings import Group, Machine, Process, Running
from oatie_ops.performance.sampler import Sampler
from oatie_ops.performance.samples import Reader

PATIENCE_SECONDS = 90.0


class Made:
    """A machine that works a little more each time it is looked at; ``broken`` looks fail."""

    def __init__(self) -> None:
        self.looks = 0
        self.broken = False
        self.closed = False

    def machine(self, *, thorough: bool) -> Machine:
        self.looks += 1
        if self.broken:
            raise OSError("the disk is on fire")
        return Machine({"load1": 1.0}, {"cpu_total": 10.0 * self.looks, "cpu_busy": 5.0 * self.looks})

    def group(self) -> Group:
        return Group()

    def process(self, pid: int, *, thorough: bool) -> Process | None:
        return Process(1.0, float(self.looks), 1e6, 2)

    def children(self, leaders: Iterable[int]) -> dict[int, tuple[int, ...]]:
        return {}

    def forget(self, pids: Iterable[int]) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        self.closed = True


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def make(made: Made, path: Path | None, tmp_path: Path) -> Sampler:
    return Sampler(lambda: Running(1), tmp_path, path, source=lambda _disk: made, interval_seconds=0.02)


def test_what_it_measures_is_there_at_once_and_in_the_file_at_the_end(tmp_path: Path) -> None:
    made, path = Made(), tmp_path / "samples.db"
    sampler = make(made, path, tmp_path)
    sampler.start()
    until(lambda: "host.cpu_percent" in sampler.latest.values)
    assert sampler.latest.values["host.cpu_percent"] == pytest.approx(50)
    sampler.stop(PATIENCE_SECONDS)
    assert made.closed
    assert not sampler.running
    with Reader(path) as reader:
        assert "host.cpu_percent" in reader.names()
        found = reader.history("host.load1", 60, step_seconds=1, until=time.time() + 2)
        assert next(iter(found.buckets())).mean == 1.0


def test_a_look_that_fails_is_a_gap_and_not_the_end(tmp_path: Path) -> None:
    made = Made()
    sampler = make(made, None, tmp_path)
    made.broken = True
    sampler.start()
    until(lambda: made.looks >= 3)
    assert sampler.problem
    made.broken = False
    until(lambda: "host.cpu_percent" in sampler.latest.values)
    sampler.stop(PATIENCE_SECONDS)


def test_a_locked_file_stops_no_look_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "samples.db"
    Sampler(lambda: Running(1), tmp_path, path, source=lambda _disk: Made())
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("CREATE TABLE t (x)")
    locker.execute("BEGIN EXCLUSIVE")
    made = Made()
    sampler = make(made, path, tmp_path)
    sampler.start()
    until(lambda: "locked" in sampler.problem)
    looks = made.looks
    until(lambda: made.looks > looks + 3)
    assert sampler.latest.values["host.load1"] == 1.0
    sampler.stop(PATIENCE_SECONDS)
    locker.execute("ROLLBACK")
    locker.close()
