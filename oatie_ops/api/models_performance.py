"""The shapes of the answers about performance (`oatie_ops.performance` fills them)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from oatie_ops.api.models import EXAMPLES, Shape

# As `oatie_ops.performance.optimizer` takes them: printable, not empty.
NAME = r"^[^\x00-\x1f\x7f]+$"
MAX_NAME = 200


class ResourceUsage(Shape):
    """Null: not known (yet). 1 MB is 10^6 bytes; totals since the machine booted, ``…_per_s`` rates now."""

    at: float
    scope: Literal["host", "cgroup"]
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
    series: dict[str, float]


class TrendSlope(Shape):
    """By Theil and Sen, per hour, with the 95 % interval; ``certain``: it does not hold zero."""

    per_hour: float
    low_per_hour: float
    high_per_hour: float
    certain: bool


class TrendColumns(Shape):
    """One value for each bucket; a gap has the count 0 and null elsewhere."""

    unit: str
    count: list[int]
    min: list[float | None]
    mean: list[float | None]
    max: list[float | None]
    p95: list[float | None]
    slope: TrendSlope | None


class ResourceFinding(Shape):
    kind: Literal["disk-full", "memory-full", "memory-leak", "fd-leak"]
    subject: str
    severity: Literal["warn", "fail"]
    message: str
    series: str
    per_hour: float
    low_per_hour: float
    high_per_hour: float
    eta_seconds: float | None
    eta_low_seconds: float | None
    eta_high_seconds: float | None


class ResourceTrends(Shape):
    """Bucket i begins at ``start + i * step_seconds`` (epoch seconds)."""

    hours: float
    start: int
    step_seconds: int
    buckets: int
    coverage: float
    series: dict[str, TrendColumns]
    findings: list[ResourceFinding]


class StartupPhase(Shape):
    name: str
    median_seconds: float
    p95_seconds: float
    share: float
    waiting_seconds: float | None


class StartupRelease(Shape):
    kind: Literal["worker", "profile", "library"]
    release: str
    count: int
    latest_at: float
    latest_seconds: float
    median_seconds: float
    p95_seconds: float
    min_seconds: float
    max_seconds: float
    phases: list[StartupPhase]
    first_request_seconds: float | None
    dependencies: dict[str, float | None]


class StartupRegression(Shape):
    """From history: never more than a suspicion."""

    old: str
    new: str
    verdict: str
    method: str
    old_seconds: float
    new_seconds: float
    ratio: float
    p_value: float | None
    n: int
    why: str


class StartupAdvice(Shape):
    kind: str
    title: str
    action: str
    saves_seconds: float | None
    evidence: str


class StartupStats(Shape):
    total_starts: int
    releases: list[StartupRelease]
    regression: StartupRegression | None
    recommendations: list[StartupAdvice]


class ProfileWanted(Shape):
    name: str = Field(min_length=1, max_length=MAX_NAME, pattern=NAME)


class ProfileBegun(Shape):
    id: str
    name: str


class CheckpointWanted(Shape):
    """``dependency``: the service that was waited for since the checkpoint before."""

    name: str = Field(min_length=1, max_length=MAX_NAME, pattern=NAME)
    dependency: str | None = Field(default=None, min_length=1, max_length=MAX_NAME, pattern=NAME)


class Checkpoint(Shape):
    name: str
    at_seconds: float
    seconds: float
    cpu_seconds: float | None
    dependency: str | None


class Profile(Shape):
    id: str
    name: str
    started_at: float
    total_seconds: float
    checkpoints: list[Checkpoint]
    bottleneck: str | None


class ScorePart(Shape):
    """``score`` null: the value is not known and does not count."""

    name: str
    weight: float
    score: float | None
    value: float | None
    what: str
    note: str


class PerformanceOverview(Shape):
    hours: float
    score: float | None
    grade: Literal["A", "B", "C", "D", "E", "unknown"]
    parts: list[ScorePart]
    resources: ResourceUsage | None
    coverage: float
    findings: list[ResourceFinding]
    startup: StartupStats
    scaling: dict[str, Any] | None


# --- examples -----------------------------------------------------------------------------------------

_USAGE = {
    "at": 1767323045.7,
    "scope": "cgroup",
    "cpu_percent": 41.5,
    "memory_percent": 63.2,
    "memory_used_mb": 1294.3,
    "disk_io_read_mb": 15230.1,
    "disk_io_write_mb": 48211.9,
    "disk_io_read_mb_per_s": 0.0,
    "disk_io_write_mb_per_s": 0.41,
    "network_sent_mb": 812.4,
    "network_recv_mb": 402.7,
    "network_sent_mb_per_s": 0.32,
    "network_recv_mb_per_s": 0.11,
    "active_connections": 37,
    "thread_count": 21,
    "disk_percent": 71.3,
    "load1": 0.84,
    "own_cpu_percent": 0.11,
    "series": {"app.arrivals_per_s": 42.0, "worker.1.rss_bytes": 81200000.0},
}
_FINDING = {
    "kind": "memory-leak",
    "subject": "worker 2",
    "severity": "warn",
    "message": "memory leak of 12 MB/h (11.6 to 12.5) in worker 2",
    "series": "worker.2.rss_bytes",
    "per_hour": 12000000.0,
    "low_per_hour": 11600000.0,
    "high_per_hour": 12500000.0,
    "eta_seconds": None,
    "eta_low_seconds": None,
    "eta_high_seconds": None,
}
_ADVICE = {
    "kind": "dependency",
    "title": "the start waits for database",
    "action": "connect to database on first use or in the background",
    "saves_seconds": 0.41,
    "evidence": "0.410 s a start on connections to database, over 8 starts",
}
_STATS = {
    "total_starts": 8,
    "releases": [
        {
            "kind": "worker",
            "release": "7",
            "count": 8,
            "latest_at": 1767323000.2,
            "latest_seconds": 1.12,
            "median_seconds": 1.08,
            "p95_seconds": 1.31,
            "min_seconds": 1.01,
            "max_seconds": 1.31,
            "phases": [
                {
                    "name": "lifespan",
                    "median_seconds": 0.52,
                    "p95_seconds": 0.6,
                    "share": 0.48,
                    "waiting_seconds": 0.47,
                }
            ],
            "first_request_seconds": 0.2,
            "dependencies": {"database": 0.41},
        }
    ],
    "regression": {
        "old": "6",
        "new": "7",
        "verdict": "suspected slower",
        "method": "history (Mann-Whitney U)",
        "old_seconds": 0.81,
        "new_seconds": 1.08,
        "ratio": 1.33,
        "p_value": 0.0008,
        "n": 8,
        "why": "the machine may have been slower or faster then; only --verify can confirm",
    },
    "recommendations": [_ADVICE],
}
_CHECKPOINT = {
    "name": "database_connected",
    "at_seconds": 0.52,
    "seconds": 0.41,
    "cpu_seconds": None,
    "dependency": "database",
}
EXAMPLES |= {
    ResourceUsage: _USAGE,
    ResourceTrends: {
        "hours": 1.0,
        "start": 1767319440,
        "step_seconds": 60,
        "buckets": 2,
        "coverage": 0.5,
        "series": {
            "host.cpu_percent": {
                "unit": "percent of all cores",
                "count": [60, 0],
                "min": [2.0, None],
                "mean": [11.5, None],
                "max": [88.0, None],
                "p95": [31.0, None],
                "slope": None,
            }
        },
        "findings": [_FINDING],
    },
    StartupStats: _STATS,
    ProfileWanted: {"name": "my_service"},
    ProfileBegun: {"id": "0f8e2c1d4b6a7990", "name": "my_service"},
    CheckpointWanted: {"name": "database_connected", "dependency": "database"},
    Checkpoint: _CHECKPOINT,
    Profile: {
        "id": "0f8e2c1d4b6a7990",
        "name": "my_service",
        "started_at": 1767323000.2,
        "total_seconds": 0.61,
        "checkpoints": [_CHECKPOINT],
        "bottleneck": "database_connected",
    },
    PerformanceOverview: {
        "hours": 1.0,
        "score": 87.5,
        "grade": "B",
        "parts": [
            {
                "name": "memory",
                "weight": 20,
                "score": 75.2,
                "value": 76.2,
                "what": "highest memory in use, percent",
                "note": "",
            }
        ],
        "resources": _USAGE,
        "coverage": 1.0,
        "findings": [_FINDING],
        "startup": _STATS,
        "scaling": None,
    },
}
