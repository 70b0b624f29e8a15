"""The one table of exit codes that every command uses."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    DEGRADED = 3
    CONFIG_INVALID = 4
    PREREQUISITE_MISSING = 5
    LOCKED = 6
    ROLLED_BACK = 7
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "done / healthy",
    ExitCode.FAILED: "failed / unhealthy",
    ExitCode.USAGE: "usage error",
    ExitCode.DEGRADED: "degraded (health), warnings",
    ExitCode.CONFIG_INVALID: "configuration invalid",
    ExitCode.PREREQUISITE_MISSING: "prerequisite missing",
    ExitCode.LOCKED: "locked by another run",
    ExitCode.ROLLED_BACK: "rolled back: the old release serves",
    ExitCode.INTERRUPTED: "interrupted (SIGINT)",
    ExitCode.TERMINATED: "terminated (SIGTERM)",
}
