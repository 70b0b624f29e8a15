"""The shapes of the answers about performance (`oatie_ops.performance` fills them)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from oatie_ops.api.models import Shape

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
