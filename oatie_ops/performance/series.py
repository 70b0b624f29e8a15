"""The names of the series: the single source for the store, the API, the guide and the terminal.

``host.*`` the machine; ``cgroup.*`` the control group with the least room, where there is a limit or an
account; ``supervisor.*``; ``worker.N.*`` one worker process, its children in ``worker.N.children_*``;
``app.*`` the load of the application over all its workers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    unit: str
    text: str


_PROCESS = {
    "cpu_percent": Meaning("percent of one core", "processor time"),
    "rss_bytes": Meaning("bytes", "resident memory"),
    "threads": Meaning("threads", "threads"),
    "fds": Meaning("files", "open file descriptors"),
    "read_bytes_per_s": Meaning("bytes/s", "read from storage"),
    "write_bytes_per_s": Meaning("bytes/s", "written to storage"),
}
_PRESSURE = {
    f"pressure_{what}_percent": Meaning("percent", f"time in which some task waited for {what}, last 10 s")
    for what in ("cpu", "memory", "io")
}

HOST = {
    "cpu_percent": Meaning("percent of all cores", "processor time in use"),
    "iowait_percent": Meaning("percent of all cores", "idle while waiting for a disk"),
    "steal_percent": Meaning("percent of all cores", "taken by other machines of the hypervisor"),
    "memory_percent": Meaning("percent", "memory that is not available"),
    "memory_used_bytes": Meaning("bytes", "memory that is not available"),
    "memory_total_bytes": Meaning("bytes", "memory there is"),
    "swap_used_bytes": Meaning("bytes", "swap in use"),
    "load1": Meaning("tasks", "load average of the last minute"),
    "threads": Meaning("threads", "threads of the whole machine"),
    "fds": Meaning("files", "open files of the whole machine"),
    "tcp_connections": Meaning("connections", "TCP sockets in use"),
    "disk_read_bytes_per_s": Meaning("bytes/s", "read from disks"),
    "disk_write_bytes_per_s": Meaning("bytes/s", "written to disks"),
    "disk_used_bytes": Meaning("bytes", "used of the file system of .oatie"),
    "disk_free_bytes": Meaning("bytes", "free on the file system of .oatie, for this user"),
    "disk_percent": Meaning("percent", "used of the file system of .oatie"),
    "net_recv_bytes_per_s": Meaning("bytes/s", "received, loopback left out"),
    "net_sent_bytes_per_s": Meaning("bytes/s", "sent, loopback left out"),
    **_PRESSURE,
}
CGROUP = {
    "cpu_percent": Meaning("percent of the limit", "processor time against the limit"),
    "cpu_cores": Meaning("cores", "processor time"),
    "cpu_limit_cores": Meaning("cores", "limit of processor time"),
    "throttled_percent": Meaning("percent", "share of periods in which the limit held the group back"),
    "memory_percent": Meaning("percent of the limit", "memory against the limit"),
    "memory_used_bytes": Meaning("bytes", "memory without the page cache that can be dropped"),
    "memory_limit_bytes": Meaning("bytes", "limit of memory"),
    **_PRESSURE,
}
SUPERVISOR = _PROCESS
WORKER = {
    **_PROCESS,
    "connections": Meaning("connections", "open connections"),
    "children": Meaning("processes", "processes that the worker started"),
    "children_cpu_percent": Meaning("percent of one core", "processor time of its children"),
    "children_rss_bytes": Meaning("bytes", "resident memory of its children"),
}
APP = {
    "arrivals_per_s": Meaning("requests/s", "requests that began"),
    "completions_per_s": Meaning("requests/s", "requests that ended"),
    "errors_per_s": Meaning("requests/s", "answers of 500 and above"),
    "concurrency": Meaning("requests", "requests in service on average (Little: arrivals x service time)"),
    "in_flight": Meaning("requests", "requests in service at the moment"),
    "connections": Meaning("connections", "open connections"),
    "service_seconds": Meaning("seconds", "mean time from the call of the application to its last byte"),
    "service_p95_seconds": Meaning("seconds", "95th percentile of it, from the histogram"),
    "cpu_cores": Meaning("cores", "processor time of all workers and their children"),
    # Of a longer time, divide the means: cpu_cores / completions_per_s. The kernel counts in hundredths.
    "cpu_seconds_per_request": Meaning("seconds", "processor time for one request"),
    "rss_bytes": Meaning("bytes", "resident memory of all workers and their children"),
    "threads": Meaning("threads", "threads of all workers and their children"),
    "workers": Meaning("workers", "workers that serve"),
    "accept_queue": Meaning("connections", "connections that no worker has taken yet"),
}
GROUPS = {"host": HOST, "cgroup": CGROUP, "supervisor": SUPERVISOR, "app": APP}


def meaning(name: str) -> Meaning | None:
    """Of a whole name, ``worker.2.rss_bytes`` too; None for one that is not ours."""
    group, _, rest = name.partition(".")
    if group == "worker":
        number, _, rest = rest.partition(".")
        return WORKER.get(rest) if number.isdecimal() else None
    return GROUPS.get(group, {}).get(rest)
