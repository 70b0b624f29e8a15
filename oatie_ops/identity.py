"""Who a process is: its pid together with when it started and in which boot.

A pid alone is reused within minutes on a busy machine. The pid, the kernel's start time of that process
and the id of the boot never come back together, so "is the owner still alive?" has one right answer.
Linux reads ``/proc`` (proc(5): field 22 of ``stat`` is the start time in clock ticks since boot; the boot
id is ``/proc/sys/kernel/random/boot_id``); elsewhere psutil and ``kern.bootsessionuuid`` are used.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from oatie_ops.records import dataclass

_ON_LINUX = sys.platform.startswith("linux")
_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
# Positions in what follows the ")" that closes the command name, which may itself hold spaces and brackets.
_STATE, _START_TICKS = 0, 19
_DEAD_STATES = frozenset("ZXx")


@dataclass(frozen=True)
class ProcessIdentity:
    """``started`` is opaque and only ever compared: clock ticks since boot (Linux), microseconds (macOS)."""

    pid: int
    started: int | str
    boot_id: str

    @classmethod
    def current(cls) -> ProcessIdentity:
        identity = cls.of(os.getpid())
        if identity is None:
            raise RuntimeError("this process cannot read its own start time; is /proc mounted?")
        return identity

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The identity of the live process `pid`; None where there is none (a zombie counts as none)."""
        started = _start_of(pid)
        return None if started is None else cls(pid, started, boot_id())

    def alive(self) -> bool:
        """Whether this very process still runs, as seen from this host and pid namespace."""
        return self.boot_id == boot_id() and _start_of(self.pid) == self.started

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ProcessIdentity:
        """Raises `ValueError` for anything that `to_dict` cannot have written."""
        pid, started, boot = data.get("pid"), data.get("started"), data.get("boot_id")
        if not isinstance(pid, int) or not isinstance(started, (int, str)) or not isinstance(boot, str):
            raise ValueError("not a process identity")
        return cls(pid, started, boot)


@functools.cache
def boot_id() -> str:
    """The id of this boot of the kernel; a new one after every reboot."""
    if _ON_LINUX:
        return _BOOT_ID_FILE.read_text(encoding="ascii").strip()
    found = subprocess.run(
        ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"],
        capture_output=True,
        text=True,
        check=True,
        timeout=5,
    )
    return found.stdout.strip()


def pid_namespace() -> str:
    """Names the pid namespace (empty: there is only one); a pid of another one says nothing here."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def exists(pid: int) -> bool:
    """Is there a process of this number, be it another user's or a zombie?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _start_of(pid: int) -> int | str | None:
    if pid <= 0:
        return None
    return _start_from_proc(pid) if _ON_LINUX else _start_from_psutil(pid)


def _start_from_proc(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 1 :].split()
    return None if fields[_STATE] in _DEAD_STATES else int(fields[_START_TICKS])


def _start_from_psutil(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return str(round(process.create_time() * 1_000_000))
    except psutil.NoSuchProcess:
        return None
