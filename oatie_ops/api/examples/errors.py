"""Of the answers about errors and breakers."""

from __future__ import annotations

from oatie_ops.api.models import Examples
from oatie_ops.api.models_errors import ErrorSummary, ServicesErrors

_GROUP = {
    "fingerprint": "9f2c41d07a3be815",
    "service": "database",
    "kind": "psycopg.OperationalError",
    "culprit": "reports.queries:monthly",
    "message": "connection refused",
    "severity": "warning",
    "count": 42,
    "first_at": "2026-01-02T03:04:05.678Z",
    "last_at": "2026-01-02T03:09:05.678Z",
    "release": "7",
    "sample": "GET /reports\nTraceback (most recent call last): …",
    "recovery": "fallback",
    "outcome": "served",
}
EXAMPLES: Examples = {
    ErrorSummary: {
        "total_errors": 42,
        "group_count": 1,
        "lately": 42,
        "last_at": _GROUP["last_at"],
        "by_service": {"database": 42},
        "by_severity": {"info": 0, "warning": 42, "error": 0, "critical": 0},
        "recoveries": {"fallback": {"served": 1}},
        "groups": [_GROUP],
    },
    ServicesErrors: {
        "services": {
            "database": {
                "status": "unhealthy",
                "health": "fail",
                "breaker": {"state": "open", "retry_after": 212.5, "reopens": 0, "successes": 0},
                "errors": 42,
                "errors_lately": 42,
                "groups": 1,
                "worst_severity": "warning",
                "last_error_at": _GROUP["last_at"],
                "last_error": "psycopg.OperationalError: connection refused",
                "recovery": "fallback",
                "outcome": "served",
            }
        }
    },
}
