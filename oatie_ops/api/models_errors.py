"""The shapes of the answers about errors (`oatie_ops.recovery.errors_summary` and `errors_services`)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from oatie_ops.api.models import Shape

Severity = Literal["info", "warning", "error", "critical"]


class ErrorGroup(Shape):
    """Equal errors of one service. Times are ISO 8601 in UTC."""

    fingerprint: str
    service: str
    kind: str
    culprit: str
    message: str
    severity: Severity
    count: int
    first_at: str
    last_at: str
    release: str
    sample: str
    recovery: str
    outcome: str


class ErrorSummary(Shape):
    """Counts cover all groups that are kept; ``lately`` is this hour and the last one."""

    total_errors: int
    group_count: int
    lately: int
    last_at: str | None
    by_service: dict[str, int]
    by_severity: dict[Severity, int]
    recoveries: dict[str, dict[str, int]] = Field(
        description="By what was tried (retry, strategy, fallback …) and how it ended: groups."
    )
    groups: list[ErrorGroup]


class BreakerState(Shape):
    """Of the breaker that the workers of this host share."""

    state: Literal["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"]
    retry_after: float
    reopens: int
    successes: int


class ServiceErrors(Shape):
    """``health`` is the status of its check, "unknown" without one; ``status`` considers the breaker too."""

    status: Literal["healthy", "degraded", "unhealthy", "unknown"]
    health: Literal["pass", "warn", "fail", "unknown"]
    breaker: BreakerState | None
    errors: int
    errors_lately: int
    groups: int
    worst_severity: Severity | None
    last_error_at: str | None
    last_error: str
    recovery: str | None
    outcome: str | None


class ServicesErrors(Shape):
    services: dict[str, ServiceErrors]
