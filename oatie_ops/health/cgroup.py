"""The limits that this process really lives under: control groups, version 2 and 1 (Linux only).

In a container the host's memory and processors are not ours to use; what ends us is the group's limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# Version 1 says "no limit" as a number near 2^63.
NO_LIMIT_BYTES = 1 << 60


@dataclass(frozen=True)
class MemoryUse:
    """``used_bytes`` without the page cache that the kernel would give back at once."""

    used_bytes: int
    limit_bytes: int


@dataclass(frozen=True)
class CpuUse:
    """``used_seconds`` of processor time since the group began; ``limit`` in processors.

    In ``throttled`` of ``periods`` the limit held the group back; both are counted since it began.
    """

    used_seconds: float
    limit: float
    periods: int = 0
    throttled: int = 0


@dataclass(frozen=True)
class Cgroups:
    """Where to read. A test gives a tree of files."""

    mount: Path = Path("/sys/fs/cgroup")
    own: Path = Path("/proc/self/cgroup")

    def memory(self) -> MemoryUse | None:
        """The group with the least room, of ours and those above it; None where none has a limit."""
        paths = self._paths()
        found = [
            *(_memory(d, "memory.max", "memory.current", "inactive_file") for d in self._unified(paths)),
            *(
                _memory(d, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                for d in self._of("memory", paths)
            ),
        ]
        limited = [use for use in found if use is not None]
        return min(limited, key=lambda use: use.limit_bytes - use.used_bytes, default=None)

    def cpu(self) -> CpuUse | None:
        """The group with the smallest share of processors; None where none has a limit."""
        paths = self._paths()
        found = [_cpu_unified(directory) for directory in self._unified(paths)]
        limited = [directory for directory in self._of("cpu", paths) if _is_limited(directory)]
        accounts = list(self._of("cpuacct", paths)) if limited else []
        found += [_cpu_v1(directory, accounts) for directory in limited]
        return min((use for use in found if use is not None), key=lambda use: use.limit, default=None)

    def pressure(self, resource: str) -> Path | None:
        """Our group's file of pressure stall information; None where the group has none."""
        paths = (directory / f"{resource}.pressure" for directory in self._unified(self._paths()))
        return next((path for path in paths if path.exists()), None)

    def _unified(self, paths: Mapping[str, str]) -> Iterator[Path]:
        path = paths.get("")
        if path is not None and (self.mount / "cgroup.controllers").exists():
            yield from _upwards(self.mount, path)

    def _of(self, controller: str, paths: Mapping[str, str]) -> Iterator[Path]:
        path = paths.get(controller)
        base = self.mount / controller
        if path is not None and base.is_dir():
            yield from _upwards(base, path)

    def _paths(self) -> dict[str, str]:
        """cgroups(7): ``hierarchy:controllers:path``; version 2 has no controllers there."""
        try:
            lines = self.own.read_text().splitlines()
        except OSError:
            return {}
        parts = [line.split(":", 2) for line in lines]
        return {name: part[2] for part in parts if len(part) == 3 for name in part[1].split(",")}


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """From our own group to the root. A path that is not visible here (a container's) is the root."""
    directory = mount / path.strip("/")
    if ".." in directory.parts or not directory.is_dir():
        directory = mount
    yield directory
    while directory != mount:
        directory = directory.parent
        yield directory


def _memory(directory: Path, limit_file: str, used_file: str, cache: str) -> MemoryUse | None:
    limit = _number(directory / limit_file)
    if limit is None or not 0 < limit < NO_LIMIT_BYTES:  # most have none, and this is asked once a second
        return None
    used = _number(directory / used_file)
    if used is None:
        return None
    reclaimable = _field(directory / "memory.stat", cache) or 0
    return MemoryUse(max(0, used - reclaimable), limit)


def _cpu_unified(directory: Path) -> CpuUse | None:
    quota, _, period = (_text(directory / "cpu.max") or "").partition(" ")
    used = _field(directory / "cpu.stat", "usage_usec")
    if not quota.isdecimal() or not period.isdecimal() or not int(period) or used is None:
        return None
    return CpuUse(used / 1e6, int(quota) / int(period), *_throttling(directory))


def _is_limited(directory: Path) -> bool:
    return (_number(directory / "cpu.cfs_quota_us") or 0) > 0


def _cpu_v1(directory: Path, accounts: list[Path]) -> CpuUse | None:
    quota, period = _number(directory / "cpu.cfs_quota_us"), _number(directory / "cpu.cfs_period_us")
    account = next((path for path in accounts if path.name == directory.name), directory)
    used = _number(account / "cpuacct.usage")
    if quota is None or quota <= 0 or not period or used is None:
        return None
    return CpuUse(used / 1e9, quota / period, *_throttling(directory))


def _throttling(directory: Path) -> tuple[int, int]:
    stat = directory / "cpu.stat"
    return _field(stat, "nr_periods") or 0, _field(stat, "nr_throttled") or 0


def _text(path: Path) -> str | None:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read().decode().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _number(path: Path) -> int | None:
    """None for ``max``, and where the file is not there."""
    try:
        return int(_text(path) or "")
    except ValueError:
        return None


def _field(path: Path, name: str) -> int | None:
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdecimal():
            return int(value)
    return None
