"""Of the answers about performance."""

from __future__ import annotations

from oatie_ops.api.models import Examples
from oatie_ops.api.models_performance import (
    Checkpoint,
    CheckpointWanted,
    PerformanceOverview,
    Profile,
    ProfileBegun,
    ProfileWanted,
    ResourceTrends,
    ResourceUsage,
    StartupStats,
)

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
EXAMPLES: Examples = {
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
