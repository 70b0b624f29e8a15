"""Of the answers about scaling."""

from __future__ import annotations

from oatie_ops.api.models import Examples
from oatie_ops.api.models_scaling import ScaleWanted, ScalingAdvice, ScalingConfiguration

_UNKNOWN = {
    "type": "cache",
    "reason": "120 GET requests were watched",
    "needs": "needs 380 more of them",
}
EXAMPLES: Examples = {
    ScalingAdvice: {
        "at": 1790000000.0,
        "grade": "B",
        "grade_means": "one day or more: no weekly pattern is known",
        "window": "26.0 h since 2026-09-20 08:00 UTC, 0.0% gaps",
        "recommendations": [
            {
                "type": "workers",
                "priority": "high",
                "title": "Run 13 workers instead of 2",
                "description": "A request takes 10.0 ms of a processor and waits 40.0 ms for others; a worker"
                " has 1 at a time, on 2 cores.",
                "action": "oatie scale workers=13, and workers = 13 in [app] of oatie.toml",
                "estimated_impact": "the most that can be served goes from 40 to 192 requests a second",
                "complexity": "low: no restart, no lost request",
                "confidence": "medium",
                "evidence": {
                    "numbers": {"cpu_seconds_per_request": 0.01, "wait_seconds_per_request": 0.04},
                    "window": "1560 minutes above 1 rps of 26.0 h",
                    "formula": "the fewest workers w with X(w) >= 0.95 cores / cpu_seconds",
                    "source": "machine repairman M/M/c//N",
                },
                "value": 13,
                "current": 2,
            }
        ],
        "unknown": [_UNKNOWN],
        "what_if": [{"workers": 2, "requests_per_s": 40.0, "peak_load_share": 0.9, "memory_bytes": 12e7}],
        "policies": [
            {
                "policy": "1 replica, as now",
                "mean_replicas": 1.0,
                "violations": 0.0,
                "within_budget": True,
            }
        ],
        "hpa": None,
    },
    ScalingConfiguration: {
        "at": 1790000000.0,
        "grade": "B",
        "workers": 13,
        "replicas": 1,
        "pool_size_per_worker": 1,
        "timeout_seconds": 1.0,
        "memory_limit_bytes": 900000000,
        "cache": None,
        "hpa": None,
        "unknown": [_UNKNOWN],
    },
    ScaleWanted: {"workers": 4},
}
