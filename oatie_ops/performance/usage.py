"""What is used now, in the units that people ask for. The limits of a container go before the host's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from oatie_ops.performance.measured import Measured

MEGA = 1e6


@dataclass(frozen=True)
class Usage:
    """``at`` in epoch seconds; None: not known (yet).

    ``cpu_percent`` and ``memory_percent`` are of the control group's limits where it has some (``scope`` says
    "cgroup"), else of the whole machine. ``disk_io_read_mb`` and the like are totals since the machine
    booted, ``…_per_s`` the rates now; 1 MB = 10^6 bytes. ``active_connections``: of the application where one
    is supervised, else the TCP sockets in use on the machine. ``thread_count``: of the application and its
    supervisor, else of this process.
    """

    at: float
    scope: str
    cpu_percent: float | None
    memory_percent: float | None
    memory_used_mb: float | None
    disk_io_read_mb: float | None
    disk_io_write_mb: float | None
    disk_io_read_mb_per_s: float | None
    disk_io_write_mb_per_s: float | None
    network_sent_mb: float | None
    network_recv_mb: float | None
    network_sent_mb_per_s: float | None
    network_recv_mb_per_s: float | None
    active_connections: int | None
    thread_count: int | None
    disk_percent: float | None
    load1: float | None
    own_cpu_percent: float | None
    series: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        found = asdict(self)
        found["series"] = {name: float(f"{value:.6g}") for name, value in sorted(self.series.items())}
        return found


def usage_of(measured: Measured) -> Usage:
    values, totals = measured.values, measured.totals
    grouped = "cgroup.memory_percent" in values or "cgroup.cpu_limit_cores" in values

    def percent(name: str) -> float | None:
        found = values.get(f"cgroup.{name}", values.get(f"host.{name}"))
        return None if found is None else round(found, 2)

    def mega(source: Mapping[str, float], *names: str) -> float | None:
        found = next((source[name] for name in names if name in source), None)
        return None if found is None else round(found / MEGA, 3)

    threads = [values[n] for n in ("supervisor.threads", "app.threads") if n in values]
    connections = values.get("app.connections", values.get("host.tcp_connections"))
    own = measured.own_cpu_percent
    return Usage(
        at=measured.at,
        scope="cgroup" if grouped else "host",
        cpu_percent=percent("cpu_percent"),
        memory_percent=percent("memory_percent"),
        memory_used_mb=mega(values, "cgroup.memory_used_bytes", "host.memory_used_bytes"),
        disk_io_read_mb=mega(totals, "disk_read_bytes"),
        disk_io_write_mb=mega(totals, "disk_write_bytes"),
        disk_io_read_mb_per_s=mega(values, "host.disk_read_bytes_per_s"),
        disk_io_write_mb_per_s=mega(values, "host.disk_write_bytes_per_s"),
        network_sent_mb=mega(totals, "net_sent_bytes"),
        network_recv_mb=mega(totals, "net_recv_bytes"),
        network_sent_mb_per_s=mega(values, "host.net_sent_bytes_per_s"),
        network_recv_mb_per_s=mega(values, "host.net_recv_bytes_per_s"),
        active_connections=None if connections is None else int(connections),
        thread_count=int(sum(threads)) if threads else None,
        disk_percent=None if (disk := values.get("host.disk_percent")) is None else round(disk, 2),
        load1=values.get("host.load1"),
        own_cpu_percent=None if own is None else round(own, 3),
        series=values,
    )
