"""Reads Linux directly: files of /proc are kept open and read again at offset 0 (proc(5)).

A fifth to an eighth of what psutil costs, and nothing of its memory. ``root`` is another tree in tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from oatie_ops.health.cgroup import Cgroups
from oatie_ops.performance.readings import Group, Machine, Process

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SECTOR_BYTES = 512  # the unit of diskstats, whatever the disk's own is
PRESSURES = ("cpu", "memory", "io")
# What passes one of these passes a real device too, or never leaves the machine.
VIRTUAL_DEVICES = ("lo", "veth", "docker", "br-", "virbr", "ifb", "cni", "cali", "flannel", "tap")
READ_BYTES = 1 << 16


class Kept:
    """A file that is opened once. Reading one that is not there, or no longer, gives nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def read(self) -> bytes:
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            return os.pread(self._fd, READ_BYTES, 0)
        except OSError:
            self.close()
            return b""

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class ProcSource:
    """See `oatie_ops.performance.readings.Source`. ``disk``: the file system to measure."""

    def __init__(self, disk: Path, root: Path = Path("/")) -> None:
        self._root = root
        self._disk = disk
        self._files: dict[str, Kept] = {}
        self._processes: dict[int, tuple[Kept, Kept]] = {}
        self._sessions: dict[int, int] = {}
        self._disks: frozenset[str] = frozenset()
        self._dear: dict[str, float] = {}
        self._cgroups = Cgroups(root / "sys/fs/cgroup", root / "proc/self/cgroup")

    def machine(self, *, thorough: bool) -> Machine:
        if thorough or not self._dear:
            self._dear = self._disk_use() | self._open_files()
            self._disks = self._whole_disks()
        gauges = {**self._memory(), **self._load(), **self._sockets(), **self._dear}
        for what in PRESSURES:
            if (percent := pressure(self._read(f"proc/pressure/{what}"))) is not None:
                gauges[f"pressure_{what}_percent"] = percent
        return Machine(gauges, {**self._cpu(), **self._disk_traffic(), **self._network()})

    def group(self) -> Group:
        gauges: dict[str, float] = {}
        counters: dict[str, float] = {}
        if (memory := self._cgroups.memory()) is not None:
            gauges["memory_used_bytes"] = memory.used_bytes
            gauges["memory_limit_bytes"] = memory.limit_bytes
            gauges["memory_percent"] = 100.0 * memory.used_bytes / memory.limit_bytes
        if (cpu := self._cgroups.cpu()) is not None:
            gauges["cpu_limit_cores"] = cpu.limit
            counters["cpu_seconds"] = cpu.used_seconds
            counters["periods"], counters["throttled"] = cpu.periods, cpu.throttled
        if gauges:
            for what in PRESSURES:
                path = self._cgroups.pressure(what)
                percent = pressure(self._kept(str(path), path).read()) if path else None
                if percent is not None:
                    gauges[f"pressure_{what}_percent"] = percent
        return Group(gauges, counters)

    def process(self, pid: int, *, thorough: bool) -> Process | None:
        files = self._processes.get(pid)
        if files is None:
            directory = self._root / "proc" / str(pid)
            files = self._processes[pid] = (Kept(directory / "stat"), Kept(directory / "io"))
        stat = files[0].read()
        fields = stat[stat.rfind(b")") + 2 :].split()
        # A zombie has no memory and does nothing; proc_pid_stat(5), fields from 3 on.
        if len(fields) < 22 or fields[0] in (b"Z", b"X"):
            self.forget([pid])
            return None
        read, written = _io(files[1].read())
        return Process(
            born=float(fields[19]),
            cpu_seconds=(int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND,
            rss_bytes=float(int(fields[21]) * PAGE_BYTES),
            threads=float(fields[17]),
            fds=self._fds(pid) if thorough else None,
            read_bytes=read,
            write_bytes=written,
        )

    def children(self, leaders: Iterable[int]) -> dict[int, tuple[int, ...]]:
        """Each worker leads a session of its own, to which what it starts belongs as well.

        Only processes that were not there the last time are looked at.
        """
        wanted = set(leaders)
        found: dict[int, list[int]] = {}
        sessions: dict[int, int] = {}
        try:
            entries = os.listdir(self._root / "proc")  # noqa: PTH208 - half the time
        except OSError:
            return {}
        for entry in entries:
            if not entry.isdecimal():
                continue
            pid = int(entry)
            session = self._sessions.get(pid)
            if session is None:
                session = self._session(pid)
            sessions[pid] = session
            if session in wanted and pid != session:
                found.setdefault(session, []).append(pid)
        self._sessions = sessions
        return {leader: tuple(sorted(pids)) for leader, pids in found.items()}

    def forget(self, pids: Iterable[int]) -> None:
        for pid in pids:
            for file in self._processes.pop(pid, ()):
                file.close()
            self._sessions.pop(pid, None)

    def close(self) -> None:
        self.forget(list(self._processes))
        for file in self._files.values():
            file.close()
        self._files.clear()

    # --- the machine --------------------------------------------------------------------------------------

    def _read(self, name: str) -> bytes:
        return self._kept(name, self._root / name).read()

    def _kept(self, name: str, path: Path) -> Kept:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = Kept(path)
        return file

    def _cpu(self) -> dict[str, float]:
        """user nice system idle iowait irq softirq steal; guest time is part of user time."""
        fields = self._read("proc/stat").partition(b"\n")[0].split()
        if len(fields) < 5 or fields[0] != b"cpu":
            return {}
        values = [int(field) for field in fields[1:9]] + [0] * (9 - len(fields))
        total, idle, iowait = sum(values), values[3], values[4]
        return {
            "cpu_total": total,
            "cpu_busy": total - idle - iowait,
            "cpu_iowait": iowait,
            "cpu_steal": values[7],
        }

    def _memory(self) -> dict[str, float]:
        found = {}
        for line in self._read("proc/meminfo").split(b"\n"):
            name, _, rest = line.partition(b":")
            if name in (b"MemTotal", b"MemAvailable", b"SwapTotal", b"SwapFree"):
                found[name] = int(rest.split()[0]) * 1024.0
            if name == b"SwapFree":
                break
        total, available = found.get(b"MemTotal"), found.get(b"MemAvailable")
        if not total or available is None:
            return {}
        return {
            "memory_total_bytes": total,
            "memory_used_bytes": total - available,
            "memory_percent": 100.0 * (total - available) / total,
            "swap_used_bytes": found.get(b"SwapTotal", 0.0) - found.get(b"SwapFree", 0.0),
        }

    def _load(self) -> dict[str, float]:
        fields = self._read("proc/loadavg").split()
        if len(fields) < 4:
            return {}
        return {"load1": float(fields[0]), "threads": float(fields[3].partition(b"/")[2])}

    def _sockets(self) -> dict[str, float]:
        found = 0.0
        for name, key in (("proc/net/sockstat", b"TCP:"), ("proc/net/sockstat6", b"TCP6:")):
            for line in self._read(name).split(b"\n"):
                if line.startswith(key):
                    found += int(line.split()[2])
        return {"tcp_connections": found}

    def _disk_traffic(self) -> dict[str, float]:
        read = written = 0
        for line in self._read("proc/diskstats").split(b"\n"):
            fields = line.split()
            if len(fields) >= 10 and fields[2].decode() in self._disks:
                read += int(fields[5])
                written += int(fields[9])
        return {"disk_read_bytes": read * SECTOR_BYTES, "disk_write_bytes": written * SECTOR_BYTES}

    def _network(self) -> dict[str, float]:
        received = sent = 0
        for line in self._read("proc/net/dev").split(b"\n")[2:]:
            name, _, rest = line.partition(b":")
            fields = rest.split()
            if len(fields) >= 9 and not name.strip().decode().startswith(VIRTUAL_DEVICES):
                received += int(fields[0])
                sent += int(fields[8])
        return {"net_recv_bytes": received, "net_sent_bytes": sent}

    def _disk_use(self) -> dict[str, float]:
        try:
            info = os.statvfs(self._disk)
        except OSError:
            return {}
        used = (info.f_blocks - info.f_bfree) * info.f_frsize
        free = info.f_bavail * info.f_frsize
        # As df(1): what is reserved for root is neither.
        return {
            "disk_used_bytes": used,
            "disk_free_bytes": free,
            "disk_percent": 100.0 * used / max(1, used + free),
        }

    def _open_files(self) -> dict[str, float]:
        fields = self._read("proc/sys/fs/file-nr").split()
        return {"fds": float(fields[0])} if fields else {}

    def _whole_disks(self) -> frozenset[str]:
        """Partitions and what is made of disks (loop, RAM, device mapper, RAID) would be counted twice."""
        try:
            names = os.listdir(self._root / "sys/block")  # noqa: PTH208
        except OSError:
            return frozenset()
        return frozenset(n for n in names if not n.startswith(("loop", "ram", "zram", "dm-", "md")))

    # --- processes ----------------------------------------------------------------------------------------

    def _fds(self, pid: int) -> float | None:
        try:
            return float(len(os.listdir(self._root / "proc" / str(pid) / "fd")))  # noqa: PTH208
        except OSError:
            return None

    def _session(self, pid: int) -> int:
        try:
            stat = (self._root / "proc" / str(pid) / "stat").read_bytes()
            return int(stat[stat.rfind(b")") + 2 :].split()[3])
        except (OSError, ValueError, IndexError):
            return 0


def pressure(text: bytes) -> float | None:
    """The share of the last ten seconds in which some task waited, in percent (accounting/psi.rst)."""
    for line in text.split(b"\n"):
        if line.startswith(b"some "):
            for field in line.split():
                if field.startswith(b"avg10="):
                    return float(field[6:])
    return None


def _io(text: bytes) -> tuple[float | None, float | None]:
    """What reached or left the storage; a process of another user tells nothing."""
    found: dict[bytes, float] = {}
    for line in text.split(b"\n"):
        name, _, value = line.partition(b": ")
        if value:
            found[name] = float(value)
    return found.get(b"read_bytes"), found.get(b"write_bytes")
