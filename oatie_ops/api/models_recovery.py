"""The shapes of the answers about recoveries (`oatie_ops.recovery.ladder_report` fills them)."""

from __future__ import annotations

from typing import Literal

from oatie_ops.api.models import Shape


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
