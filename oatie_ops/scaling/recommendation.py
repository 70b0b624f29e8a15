"""What the engine says: advice with its evidence, or why there is none yet. Plain values, one JSON shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Number = float | int | str | None

# How far back the history reaches decides how much it can be trusted.
GRADES = {
    "A": "seven days or more: weekly patterns are known",
    "B": "one day or more: no weekly pattern is known",
    "C": "less than a day: no daily pattern is known",
}
CONFIDENCE = {"A": "high", "B": "medium", "C": "low"}
PRIORITIES = ("high", "medium", "low")


@dataclass(frozen=True)
class Evidence:
    """``numbers`` as measured, ``window`` in words, ``formula`` in terms of the numbers, its ``source``."""

    numbers: Mapping[str, Number]
    window: str
    formula: str
    source: str


@dataclass(frozen=True)
class Recommendation:
    """``type``: workers, replicas, pool, timeout, memory or cache. ``value``: the number itself; None where
    none is needed.
    """

    type: str
    priority: str
    title: str
    description: str
    action: str
    estimated_impact: str
    complexity: str
    confidence: str
    evidence: Evidence
    value: float | None = None
    current: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "evidence": {**asdict(self.evidence), "numbers": dict(self.evidence.numbers)}}


@dataclass(frozen=True)
class Unknown:
    """No guess is made: ``reason``, and ``needs``, what would make it known."""

    type: str
    reason: str
    needs: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Advice:
    """``hpa``: a manifest where that policy is the answer. ``load``: requests/s per minute; None in gaps.

    ``what_if``: rows of workers, requests_per_s, memory_bytes. ``policies``: rows of the replay.
    """

    at: float
    grade: str | None
    window: str
    recommendations: tuple[Recommendation, ...]
    unknown: tuple[Unknown, ...]
    what_if: tuple[Mapping[str, Number], ...] = ()
    policies: tuple[Mapping[str, Any], ...] = ()
    hpa: str | None = None
    load: tuple[float | None, ...] = field(default=(), repr=False)

    def of(self, kind: str) -> Recommendation | None:
        return next((found for found in self.recommendations if found.type == kind), None)

    def as_dict(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "grade": self.grade,
            "grade_means": GRADES.get(self.grade or "", "nothing is known yet"),
            "window": self.window,
            "recommendations": [found.as_dict() for found in self.recommendations],
            "unknown": [found.as_dict() for found in self.unknown],
            "what_if": [dict(row) for row in self.what_if],
            "policies": [dict(row) for row in self.policies],
            "hpa": self.hpa,
        }

    def configuration(self) -> dict[str, Any]:
        """The numbers alone; null is not known (and ``unknown`` says why)."""
        values = {found.type: found for found in self.recommendations}

        def value(kind: str) -> float | None:
            return values[kind].value if kind in values else None

        return {
            "at": self.at,
            "grade": self.grade,
            "workers": value("workers"),
            "replicas": value("replicas"),
            "pool_size_per_worker": value("pool"),
            "timeout_seconds": value("timeout"),
            "memory_limit_bytes": value("memory"),
            "cache": value("cache"),
            "hpa": self.hpa,
            "unknown": [found.as_dict() for found in self.unknown],
        }
