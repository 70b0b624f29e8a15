"""The shapes of the answers about scaling (`oatie_ops.scaling.recommendation` fills them)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from oatie_ops.api.models import Shape
from oatie_ops.config import defaults

Number = float | int | str | None


class ScalingEvidence(Shape):
    """``formula`` in terms of ``numbers``; ``source``: whose formula, or where the numbers come from."""

    numbers: dict[str, Number]
    window: str
    formula: str
    source: str


class ScalingRecommendation(Shape):
    type: Literal["workers", "replicas", "pool", "timeout", "memory", "cache"]
    priority: Literal["high", "medium", "low"]
    title: str
    description: str
    action: str
    estimated_impact: str
    complexity: str
    confidence: Literal["high", "medium", "low"]
    evidence: ScalingEvidence
    value: float | None
    current: float | None


class ScalingUnknown(Shape):
    """No guess is made: why, and what would make it known."""

    type: str
    reason: str
    needs: str


class ScalingAdvice(Shape):
    """``grade``: A seven days of history, B one day, C less. ``hpa``: a manifest where that is the answer."""

    at: float
    grade: Literal["A", "B", "C"] | None
    grade_means: str
    window: str
    recommendations: list[ScalingRecommendation]
    unknown: list[ScalingUnknown]
    what_if: list[dict[str, Number]]
    policies: list[dict[str, Any]]
    hpa: str | None


class ScalingConfiguration(Shape):
    """Null is not known; ``unknown`` says why."""

    at: float
    grade: Literal["A", "B", "C"] | None
    workers: float | None
    replicas: float | None
    pool_size_per_worker: float | None
    timeout_seconds: float | None
    memory_limit_bytes: float | None
    cache: float | None
    hpa: str | None
    unknown: list[ScalingUnknown]


class ScaleWanted(Shape):
    """``workers`` null: what is recommended."""

    workers: Annotated[int, Field(ge=1, le=defaults.SCALE_MAX, strict=True)] | None = None
