"""What one look at the machine finds, before anything is computed from two of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

NOTHING: Mapping[str, float] = {}


@dataclass(frozen=True)
class Machine:
    """``gauges`` are values as they are, by the end of their series' name; ``counters`` only grow.

    Counters: cpu_total, cpu_busy, cpu_iowait, cpu_steal (of the same unit), disk_read_bytes,
    disk_write_bytes, net_recv_bytes, net_sent_bytes.
    """

    gauges: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """The control group: gauges as in `series.CGROUP`; counters cpu_seconds, periods, throttled."""

    gauges: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Process:
    """``born`` tells a process from a later one of the same number. ``fds`` None: not counted this time."""

    born: float
    cpu_seconds: float
    rss_bytes: float
    threads: float
    fds: float | None = None
    read_bytes: float | None = None
    write_bytes: float | None = None


@dataclass(frozen=True)
class Load:
    """What the workers of the application counted, over all that there ever were.

    ``buckets`` is the histogram of times; their sum is the number of requests that were timed. A program
    that is not Python counts nothing: ``requests`` is None.
    """

    requests: int | None = None
    errors: int = 0
    busy_seconds: float = 0.0
    buckets: tuple[int, ...] = ()
    in_flight: int = 0
    connections: int = 0
    workers: int = 0
    accept_queue: int | None = None


@dataclass(frozen=True)
class Worker:
    number: int
    pid: int
    connections: int | None = None


@dataclass(frozen=True)
class Running:
    """What is to be looked at: the supervisor's own pid, its workers, the application's counts."""

    supervisor: int
    workers: tuple[Worker, ...] = ()
    load: Load | None = None


@dataclass(frozen=True)
class Look:
    """One look. ``at`` is monotonic; processes by pid; ``children`` by the pid of their worker."""

    at: float
    machine: Machine
    group: Group
    running: Running
    processes: Mapping[int, Process] = field(default_factory=dict)
    children: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


class Source(Protocol):
    """Reads one system; kept open between looks. ``thorough``: also what is dear to find out."""

    def machine(self, *, thorough: bool) -> Machine: ...

    def group(self) -> Group: ...

    def process(self, pid: int, *, thorough: bool) -> Process | None:
        """None where it is gone."""
        ...

    def children(self, leaders: Iterable[int]) -> dict[int, tuple[int, ...]]:
        """By leader, what was started below it."""
        ...

    def forget(self, pids: Iterable[int]) -> None:
        """These are asked for no longer."""
        ...

    def close(self) -> None: ...
