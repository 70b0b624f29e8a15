"""The shapes of the API's answers, for its OpenAPI description (`oatie_ops.health.report` fills them)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

StatusWord = Literal["pass", "unknown", "warn", "fail"]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Brief(Shape):
    status: StatusWord


class Verdict(Shape):
    status: StatusWord
    output: str


class Latency(Shape):
    """Of the last ``samples`` answers and time-outs; ``recent_seconds`` oldest first."""

    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    samples: int
    recent_seconds: list[float]


class Uptime(Shape):
    """Shares from 0 to 1 of the known time; null where nothing is known."""

    hour: float | None
    day: float | None
    week: float | None
    known_seconds: float


class Transition(Shape):
    at: str
    before: StatusWord
    after: StatusWord
    output: str
    consequence_of: str | None


class Maintenance(Shape):
    """``service`` "*" is all of them; ``until`` null is until cleared."""

    id: int
    service: str
    reason: str
    actor: str
    started_at: str
    until: str | None


class Check(Shape):
    type: str
    status: StatusWord
    output: str
    since: str
    for_seconds: float
    checked_at: str | None
    age_seconds: float | None
    duration_seconds: float | None
    observed_value: float | None
    observed_unit: str
    latest_result: StatusWord | None
    interval_seconds: float
    timeout_seconds: float
    rise: int
    fall: int
    latency: Latency


class Service(Shape):
    status: StatusWord
    output: str
    since: str | None
    for_seconds: float | None
    needs: list[str]
    consequence_of: str | None
    maintenance: Maintenance | None
    flapping: bool
    uptime: Uptime
    latency: Latency
    transitions: list[Transition]
    checks: dict[str, Check]


class Services(Shape):
    status: StatusWord
    services: dict[str, Service]


class Groups(Shape):
    live: Verdict
    ready: Verdict
    startup: Verdict


class Detailed(Services):
    schema_version: int
    cause: str
    taken_at: str
    age_seconds: float
    groups: Groups


class Dashboard(Detailed):
    version: str
    state: str
    detail: str
    release: str | None
    app: dict[str, Any]
    ops: dict[str, Any]
    workers: list[dict[str, Any]]


class Operation(Shape):
    id: str
    kind: str
    service: str
    actor: str
    state: Literal["running", "succeeded", "failed"]
    started_at: float
    ended_at: float | None
    error: dict[str, Any] | None


class Change(Transition):
    service: str


class History(Shape):
    transitions: list[Change]


class Windows(Shape):
    windows: list[Maintenance]


class WindowWanted(Shape):
    """``duration``: "30m", "2h", seconds; without it the window stays open until it is ended."""

    service: str = Field(default="*", max_length=200)
    duration: str | float | None = None
    reason: str = Field(default="", max_length=500)


class Ended(Shape):
    """How many windows were open and are now ended."""

    ended: int


class Problem(BaseModel):
    """RFC 9457, with what went wrong, why, and how to fix it."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    what: str
    why: str
    fix: str
    details: list[str]
    exit_code: int
