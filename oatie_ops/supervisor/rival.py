"""Another oatie that holds a port: to end one of its processes would only make it start a new one."""

from __future__ import annotations

from pathlib import Path

from oatie_ops.paths import StatePaths
from oatie_ops.records import dataclass

# A worker's parent is its fork server, whose parent is the supervisor.
GENERATIONS = 3


@dataclass(frozen=True)
class Rival:
    """``directory``: where `oatie stop` ends it."""

    pid: int
    directory: Path


def rival(pid: int) -> Rival | None:
    """The supervisor that process is, or belongs to; None where it is none, or may not be looked at.

    A supervisor holds its pid file open for as long as it lives (`oatie_ops.supervisor.pidfile`).
    """
    import psutil

    try:
        found: psutil.Process | None = psutil.Process(pid)
        for _ in range(GENERATIONS):
            if found is None:
                return None
            for file in found.open_files():
                home = Path(file.path).parent.parent
                if file.path == str(StatePaths(home).supervisor_pid):
                    return Rival(found.pid, home.parent if home.name == ".oatie" else home)
            found = found.parent()
    except psutil.Error:
        return None
    return None
