"""From looks at a machine to values: counters that wrap, processes that die, groups without limits."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.performance.clock import SteadyClock
from oatie_ops.performance.measure import load, measure, quantile
from oatie_ops.performance.portable import PsutilSource
from oatie_ops.performance.procfs import PAGE_BYTES, TICKS_PER_SECOND, ProcSource
from oatie_ops.performance.rates import WRAP, delta, rates
from oatie_ops.performance.readings import Group, Load, Look, Machine, Process, Running, Worker
from oatie_ops.performance.series import meaning

BOUNDS = (0.01, 0.1, 1.0)


def test_a_counter_that_wraps_goes_on_and_one_that_is_reset_says_nothing() -> None:
    assert delta(10, 25) == 15
    assert delta(WRAP - 10, 5) == 15
    assert delta(1_000_000, 5) is None
    assert delta(WRAP * 4.0, 5) is None
    assert rates({"a": 1, "b": 100}, {"a": 3, "b": 1, "c": 7}, 2.0) == {"a": 1.0}
    assert rates({"a": 1}, {"a": 3}, 0.0) == {}


def process(cpu: float = 0.0, born: float = 1.0, rss: float = 1e6) -> Process:
    return Process(born, cpu, rss, threads=2, fds=10, read_bytes=100, write_bytes=200)


def look(at: float, processes: dict[int, Process], **more: object) -> Look:
    running = Running(1, (Worker(1, 100, connections=3), Worker(2, 200)), Load(workers=2))
    return replace(Look(at, Machine(), Group(), running, processes), **more)  # type: ignore[arg-type]


def test_a_worker_that_dies_while_it_is_looked_at_leaves_a_gap_and_no_error() -> None:
    before = look(0.0, {1: process(), 100: process(1.0), 200: process(1.0)})
    now = look(1.0, {1: process(), 200: process(1.5)})
    values = measure(before, now, BOUNDS)
    assert "worker.1.rss_bytes" not in values
    assert values["worker.2.cpu_percent"] == pytest.approx(50)
    assert values["app.rss_bytes"] == 1e6


def test_a_pid_that_comes_back_as_another_process_has_no_rate() -> None:
    before = look(0.0, {100: process(cpu=50.0, born=1.0)})
    now = look(1.0, {100: process(cpu=60.0, born=2.0)})
    values = measure(before, now, BOUNDS)
    assert values["worker.1.rss_bytes"] == 1e6
    assert "worker.1.cpu_percent" not in values


def test_children_count_for_their_worker() -> None:
    children = {100: (101, 102)}
    before = look(0.0, {100: process(), 101: process(), 102: process()}, children=children)
    now = look(2.0, {100: process(1.0), 101: process(0.5, rss=2e6), 102: process(rss=3e6)}, children=children)
    values = measure(before, now, BOUNDS)
    assert values["worker.1.children"] == 2
    assert values["worker.1.children_rss_bytes"] == 5e6
    assert values["worker.1.children_cpu_percent"] == pytest.approx(25)
    assert values["app.cpu_cores"] == pytest.approx(0.75)
    assert values["app.rss_bytes"] == 6e6


def test_the_first_look_has_values_but_no_rates() -> None:
    values = measure(None, look(5.0, {1: process(), 100: process()}), BOUNDS)
    assert values["supervisor.rss_bytes"] == 1e6
    assert not [name for name in values if name.endswith(("_per_s", "cpu_percent"))]


def test_every_value_has_a_meaning() -> None:
    children = {100: (101,)}
    group = Group(
        {"cpu_limit_cores": 2.0, "memory_percent": 1.0}, {"cpu_seconds": 1.0, "periods": 1, "throttled": 0}
    )
    machine = Machine({"load1": 1.0}, {"cpu_total": 1.0, "cpu_busy": 1.0, "disk_read_bytes": 1.0})
    later = Machine({"load1": 1.0}, {"cpu_total": 9.0, "cpu_busy": 5.0, "disk_read_bytes": 3.0})
    full = {1: process(), 100: process(), 101: process()}
    before = look(0.0, full, machine=machine, group=group, children=children)
    more = replace(group, counters={"cpu_seconds": 2.0, "periods": 11, "throttled": 5})
    now = look(1.0, full, machine=later, group=more, children=children)
    values = measure(before, now, BOUNDS)
    assert [name for name in values if meaning(name) is None] == []
    assert values["host.cpu_percent"] == pytest.approx(50)
    assert values["cgroup.cpu_percent"] == pytest.approx(50)
    assert values["cgroup.throttled_percent"] == pytest.approx(50)
    assert meaning("worker.x.rss_bytes") is None


def test_load_keeps_the_books_of_requests() -> None:
    before = Load(100, 2, 1.0, (90, 10, 0, 0), in_flight=5, workers=2)
    now = Load(160, 5, 4.0, (120, 40, 0, 0), in_flight=9, workers=2)
    values = load(before, now, 2.0, BOUNDS)
    assert values["completions_per_s"] == 30
    assert values["arrivals_per_s"] == 32
    assert values["errors_per_s"] == 1.5
    assert values["service_seconds"] == pytest.approx(0.05)
    assert values["concurrency"] == pytest.approx(1.5)  # Little: 30/s, each 0.05 s


def test_a_program_counts_nothing_and_is_not_taken_for_idle() -> None:
    values = load(Load(workers=1), Load(workers=1, accept_queue=4), 1.0, BOUNDS)
    assert values == {"workers": 1, "accept_queue": 4}


def test_counts_that_start_anew_say_nothing() -> None:
    assert "arrivals_per_s" not in load(Load(1000, buckets=(9, 0)), Load(10, buckets=(1, 0)), 1.0, BOUNDS)


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any))
def test_a_quantile_of_a_histogram_lies_in_the_bucket_that_holds_it(counts: list[int]) -> None:
    found, need, seen, lower = quantile(counts, BOUNDS), 0.95 * sum(counts), 0, 0.0
    for count, upper in zip(counts, (*BOUNDS, BOUNDS[-1]), strict=True):
        seen += count
        if seen >= need:
            assert lower <= found <= upper
            return
        lower = upper


def test_a_clock_that_steps_is_noticed_and_not_trusted_for_an_hour() -> None:
    now = {"wall": 1000.0, "monotonic": 0.0}
    clock = SteadyClock(lambda: now["wall"], lambda: now["monotonic"])

    def run(seconds: float) -> None:
        now["wall"] += seconds
        now["monotonic"] += seconds
        clock.now()

    for _ in range(36):
        run(100)
    assert (clock.steps, clock.trusted) == (0, True)
    now["wall"] -= 3600
    run(1)
    assert (clock.steps, clock.trusted) == (1, False)
    run(3600)
    assert clock.trusted


# --- a tree of files as Linux shows them --------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "proc/stat": "cpu  100 0 100 700 50 0 0 50 0 0\ncpu0 100 0 100 700 50 0 0 50 0 0\n",
        "proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 250 kB\nSwapTotal: 10 kB\nSwapFree: 4 kB\n",
        "proc/loadavg": "0.50 0.40 0.30 2/321 999\n",
        "proc/net/sockstat": "sockets: used 9\nTCP: inuse 5 orphan 0 tw 2 alloc 6 mem 1\n",
        "proc/net/dev": "h\nh\n lo: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\neth0: 7 0 0 0 0 0 0 0 8 0 0 0 0 0 0 0\n",
        "proc/diskstats": "8 0 sda 1 0 10 0 1 0 20 0 0 0 0\n8 1 sda1 1 0 10 0 1 0 20 0 0 0 0\n",
        "proc/sys/fs/file-nr": "77\t0\t1000\n",
        "proc/pressure/cpu": "some avg10=12.50 avg60=1.00 avg300=0.10 total=5\n",
        "proc/7/stat": stat(7, "odd ) name", utime=150, stime=50, threads=3, rss=9),
        "proc/7/io": "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\n",
        "proc/8/stat": stat(8, "child", session=7),
        "proc/9/stat": stat(9, "another", session=9),
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
        "sys/fs/cgroup/memory.current": "500\n",
        "sys/fs/cgroup/memory.max": "max\n",
        "sys/fs/cgroup/cpu.max": "max 100000\n",
        "sys/fs/cgroup/cpu.stat": "usage_usec 1000000\nnr_periods 10\nnr_throttled 3\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "sys/block/sda").mkdir(parents=True)
    (tmp_path / "proc/7/fd").mkdir()
    (tmp_path / "proc/7/fd/0").touch()
    return tmp_path


def stat(pid: int, name: str, *, state: str = "S", session: int = 0, utime: int = 0, stime: int = 0,
         threads: int = 1, rss: int = 0) -> str:  # fmt: skip
    fields = [
        state,
        1,
        pid,
        session or pid,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        utime,
        stime,
        0,
        0,
        20,
        0,
        threads,
        0,
        4242,
        0,
        rss,
    ]
    return f"{pid} ({name}) " + " ".join(map(str, fields)) + " 0 0\n"


def test_proc_is_read_as_the_manual_says(root: Path) -> None:
    source = ProcSource(root, root)
    machine = source.machine(thorough=True)
    assert machine.counters == {
        "cpu_total": 1000, "cpu_busy": 250, "cpu_iowait": 50, "cpu_steal": 50,
        "disk_read_bytes": 5120, "disk_write_bytes": 10240, "net_recv_bytes": 7, "net_sent_bytes": 8,
    }  # fmt: skip
    assert machine.gauges["memory_percent"] == 75
    assert machine.gauges["swap_used_bytes"] == 6 * 1024
    assert machine.gauges["threads"] == 321
    assert machine.gauges["tcp_connections"] == 5
    assert machine.gauges["fds"] == 77
    assert machine.gauges["pressure_cpu_percent"] == 12.5
    source.close()


def test_a_process_is_read_whatever_its_name(root: Path) -> None:
    source = ProcSource(root, root)
    found = source.process(7, thorough=True)
    assert found == Process(4242, 200 / TICKS_PER_SECOND, 9 * PAGE_BYTES, 3, 1, 4096, 8192)
    assert source.children([7]) == {7: (8,)}
    (root / "proc/7/stat").write_text(stat(7, "odd ) name", state="Z"))
    assert source.process(7, thorough=False) is None
    assert source.process(12345, thorough=True) is None
    source.close()


def test_a_group_without_limits_is_the_host(root: Path) -> None:
    source = ProcSource(root, root)
    assert source.group() == Group()
    (root / "sys/fs/cgroup/memory.max").write_text("1000\n")
    (root / "sys/fs/cgroup/cpu.max").write_text("50000 100000\n")
    found = source.group()
    assert found.gauges == {
        "memory_used_bytes": 500, "memory_limit_bytes": 1000, "memory_percent": 50, "cpu_limit_cores": 0.5
    }  # fmt: skip
    assert found.counters == {"cpu_seconds": 1.0, "periods": 10, "throttled": 3}
    source.close()


def test_an_empty_tree_is_no_error(tmp_path: Path) -> None:
    source = ProcSource(tmp_path, tmp_path)
    machine = source.machine(thorough=True)
    assert machine.gauges["disk_free_bytes"] > 0
    assert "memory_percent" not in machine.gauges
    assert source.group() == Group()
    assert source.children([1]) == {}
    source.close()


def test_kept_files_are_closed_with_their_process(root: Path) -> None:
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    source = ProcSource(root, root)
    source.process(7, thorough=True)
    source.forget([7])
    source.close()
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


def test_the_portable_source_measures_the_same_things(tmp_path: Path) -> None:
    source = PsutilSource(tmp_path)
    machine = source.machine(thorough=True)
    assert machine.counters["cpu_total"] >= machine.counters["cpu_busy"] > 0
    assert 0 < machine.gauges["memory_percent"] < 100
    assert machine.gauges["disk_free_bytes"] > 0
    own = source.process(os.getpid(), thorough=True)
    assert own is not None
    assert own.rss_bytes > 1e6
    assert own.fds
    assert source.process(2**22 + 1, thorough=True) is None
    before = Look(0.0, machine, source.group(), Running(os.getpid()), {os.getpid(): own})
    values = measure(before, replace(before, at=1.0), BOUNDS)
    assert [name for name in values if meaning(name) is None] == []
