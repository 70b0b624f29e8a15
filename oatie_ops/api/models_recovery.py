"""The shapes of the answers about recoveries (`oatie_ops.recovery.ladder_report` fills them)."""

from __future__ import annotations

from typing import Any, Literal

from oatie_ops.api.models import EXAMPLES, Shape


class Rung(Shape):
    rung: int
    name: str
    action: Literal["restart", "run", "webhook", "degrade", "page"]
    verify: str
    max: int
    settle_seconds: float
    timeout_seconds: float
    tries: int
    proven: int
    success_rate: float | None
    mean_seconds: float | None


class Ladder(Shape):
    """``mean_seconds_to_repair``: from the failure to the proof, of the recoveries that were proven."""

    service: str
    declared: bool
    state: Literal["well", "failing", "gave_up"]
    next_rung: int
    attempts: int
    next_try_at: str | None
    rungs: list[Rung]
    recoveries: int
    proven: int
    gave_up: int
    mean_seconds_to_repair: float | None


class Ladders(Shape):
    schema_version: int
    ladders: dict[str, Ladder]


class Try(Shape):
    rung: int
    name: str
    attempt: int
    state: Literal["acting", "verifying", "proven", "refuted", "interrupted"]
    ok: bool | None
    output: str
    before: str
    proof: str
    began_at: str
    seconds: float | None


class Recovered(Shape):
    id: int
    service: str
    trigger: Literal["auto", "manual"]
    actor: str
    reason: str
    failed_at: str
    began_at: str
    ended_at: str | None
    outcome: Literal["proven", "gave_up", "by_itself", "interrupted", "replaced"] | None
    detail: str
    seconds: float | None
    tries: list[Try]


class RecoveryHistory(Shape):
    schema_version: int
    recoveries: list[Recovered]


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
EXAMPLES.update(
    {
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
)
