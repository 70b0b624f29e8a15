"""Of the answers about recovery."""

from __future__ import annotations

from typing import Any

from oatie_ops.api.models import Examples
from oatie_ops.api.models_recovery import Ladders, RecoveryHistory

_RUNG: dict[str, Any] = {
    "rung": 1,
    "name": "restart systemd:postgresql",
    "action": "restart",
    "verify": "database",
    "max": 2,
    "settle_seconds": 5.0,
    "timeout_seconds": 60.0,
    "tries": 4,
    "proven": 3,
    "success_rate": 0.75,
    "mean_seconds": 8.1,
}
_TRY: dict[str, Any] = {
    "rung": 1,
    "name": "restart systemd:postgresql",
    "attempt": 1,
    "state": "proven",
    "ok": True,
    "output": "systemd restarted postgresql",
    "before": "127.0.0.1:5432: connection refused (nothing listens there)",
    "proof": "SELECT 1 answered",
    "began_at": "2026-01-02T03:04:08.000Z",
    "seconds": 7.2,
}
EXAMPLES: Examples = {
    Ladders: {
        "schema_version": 1,
        "ladders": {
            "database": {
                "service": "database",
                "declared": True,
                "state": "well",
                "next_rung": 1,
                "attempts": 0,
                "next_try_at": None,
                "rungs": [_RUNG],
                "recoveries": 4,
                "proven": 3,
                "gave_up": 1,
                "mean_seconds_to_repair": 11.4,
            }
        },
    },
    RecoveryHistory: {
        "schema_version": 1,
        "recoveries": [
            {
                "id": 7,
                "service": "database",
                "trigger": "auto",
                "actor": "auto",
                "reason": "",
                "failed_at": "2026-01-02T03:04:05.678Z",
                "began_at": "2026-01-02T03:04:07.900Z",
                "ended_at": "2026-01-02T03:04:15.200Z",
                "outcome": "proven",
                "detail": "database is well again after restart systemd:postgresql: SELECT 1 answered",
                "seconds": 9.52,
                "tries": [_TRY],
            }
        ],
    },
}
