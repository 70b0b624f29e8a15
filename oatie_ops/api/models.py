"""The shapes of the API's answers, for its OpenAPI description (`oatie_ops.health.report` fills them)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# A duration as in oatie.toml, for readers of the description; `parse_duration` has the last word.
DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$|^[0-9]+(\.[0-9]+)?$"
MAX_WINDOW_SECONDS = 366 * 86_400.0
# The same for a window: more than nothing, and with so few digits that it ends within `MAX_WINDOW_SECONDS`.
# A limit that the description does not tell surprises whoever makes requests from it.
WINDOW = (
    r"^(?=.*[1-9])("
    r"([0-2]?[0-9]{1,2}d)?([0-9]{1,3}([.][0-9]{1,3})?h)?([0-9]{1,4}([.][0-9]{1,3})?m)?([0-9]{1,5}([.][0-9]{1,3})?s)?"
    r"|[0-9]{1,7}([.][0-9]{1,3})?)$"
)

StatusWord = Literal["pass", "unknown", "warn", "fail"]
ScopeWord = Literal["read", "operate"]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)


class Wanted(Shape):
    """Of a request's body: a true is no 1, and "5" no 5."""

    model_config = ConfigDict(strict=True)


class Brief(Shape):
    """``output``: why, where ``ops.public_details`` is set."""

    status: StatusWord
    output: str | None = None


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


class Degradation(Shape):
    """A switch is on; ``left_seconds`` null: it does not end by itself."""

    level: int
    owner: str
    reason: str
    actor: str
    since: str
    left_seconds: float | None


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
    degraded: Degradation | None
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


class Worst(Shape):
    """Where the overall status comes from."""

    service: str
    status: StatusWord
    output: str
    since: str | None
    for_seconds: float | None


class UptimeBar(Shape):
    """Shares from 0 to 1 of the known time of each cell, oldest first; null where nothing is known."""

    span_seconds: int
    step_seconds: int
    start: int
    cells: list[float | None]


class Part(BaseModel):
    """What another room knows; where ``known`` is false, ``why`` tells the reason and the rest is missing."""

    model_config = ConfigDict(extra="allow")
    known: bool
    why: str


class Running(Detailed):
    """Health, and what runs: the shape of ``oatie health --json``, which adds ``supervised``."""

    version: str
    state: str
    detail: str
    release: str | None
    app: dict[str, Any]
    ops: dict[str, Any]
    workers: list[dict[str, Any]]


class Dashboard(Running):
    """``order``: the worst first; ``actions``: of each service why one is not possible, empty: it is."""

    now: str
    worst: Worst | None
    order: list[str]
    actions: dict[str, dict[str, str]]
    uptime_bars: dict[str, UptimeBar]
    operations: list[dict[str, Any]]
    resources: Part
    traffic: Part
    events: Part
    releases: Part
    startup: Part
    scaling: Part
    recovery: Part
    degradation: Part


class FrameChange(Shape):
    """``sections``: HTML by the id of its element; ``series``: for the charts. Times in epoch seconds."""

    version: int
    now: float
    taken: float
    status: StatusWord
    title: str
    order: list[str]
    sections: dict[str, str]
    series: dict[str, Any] | None = None


class Operation(Shape):
    id: str
    kind: str
    service: str
    actor: str
    state: Literal["running", "succeeded", "failed"]
    started_at: float
    ended_at: float | None
    error: dict[str, Any] | None
    events: list[dict[str, Any]]


class Change(Transition):
    service: str


class History(Shape):
    transitions: list[Change]


class Windows(Shape):
    windows: list[Maintenance]


class WindowWanted(Wanted):
    """``duration``: "30m", "2h", seconds; without it the window stays open until it is ended."""

    model_config = ConfigDict(extra="forbid", regex_engine="python-re")

    service: str = Field(default="*", max_length=200)
    duration: (
        Annotated[str, Field(pattern=WINDOW, max_length=30)]
        | Annotated[float, Field(gt=0, le=MAX_WINDOW_SECONDS, allow_inf_nan=False)]
        | None
    ) = None
    reason: str = Field(default="", max_length=500)


class Ended(Shape):
    """How many windows were open and are now ended."""

    ended: int


class Link(Shape):
    """``url`` signs one browser in, once, within ``expires_seconds``."""

    url: str
    expires_seconds: float
    scope: ScopeWord


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


# --- examples -----------------------------------------------------------------------------------------

_LATENCY = {
    "p50_seconds": 0.0021,
    "p95_seconds": 0.0049,
    "p99_seconds": 0.012,
    "samples": 360,
    "recent_seconds": [0.002, 0.0021],
}
_TRANSITION = {
    "at": "2026-01-02T03:04:05.678Z",
    "before": "pass",
    "after": "fail",
    "output": "127.0.0.1:5432: connection refused (nothing listens there)",
    "consequence_of": None,
}
_MAINTENANCE = {
    "id": 3,
    "service": "db",
    "reason": "upgrade to 17",
    "actor": "owner",
    "started_at": "2026-01-02T03:00:00.000Z",
    "until": "2026-01-02T03:30:00.000Z",
}
_CHECK = {
    "type": "tcp",
    "status": "fail",
    "output": _TRANSITION["output"],
    "since": _TRANSITION["at"],
    "for_seconds": 12.3,
    "checked_at": "2026-01-02T03:04:17.900Z",
    "age_seconds": 0.4,
    "duration_seconds": 0.0004,
    "observed_value": None,
    "observed_unit": "",
    "latest_result": "fail",
    "interval_seconds": 10.0,
    "timeout_seconds": 2.0,
    "rise": 2,
    "fall": 3,
    "latency": _LATENCY,
}
_SERVICE = {
    "status": "fail",
    "output": _TRANSITION["output"],
    "since": _TRANSITION["at"],
    "for_seconds": 12.3,
    "needs": [],
    "consequence_of": None,
    "maintenance": None,
    "degraded": None,
    "flapping": False,
    "uptime": {"hour": 0.9966, "day": 0.99986, "week": 1.0, "known_seconds": 604800.0},
    "latency": _LATENCY,
    "transitions": [_TRANSITION],
    "checks": {"tcp": _CHECK},
}
_DETAILED = {
    "schema_version": 1,
    "status": "fail",
    "cause": f"db: {_TRANSITION['output']}",
    "taken_at": "2026-01-02T03:04:18.000Z",
    "age_seconds": 0.3,
    "groups": {
        "live": {"status": "pass", "output": "the supervisor answers"},
        "ready": {"status": "pass", "output": "app: running: 2 serving"},
        "startup": {"status": "pass", "output": "the application has started"},
    },
    "services": {"db": _SERVICE},
}
_RUNNING = {
    **_DETAILED,
    "version": "1.0.0",
    "state": "running",
    "detail": "",
    "release": "7",
    "app": {"name": "shop", "url": "http://127.0.0.1:8080"},
    "ops": {"url": "http://127.0.0.1:8000"},
    "workers": [{"id": 1, "pid": 4711, "state": "serving", "release": "7", "requests": 1200}],
}
EXAMPLES: dict[type[BaseModel], dict[str, Any]] = {
    Brief: {"status": "pass"},
    Service: _SERVICE,
    Services: {"status": "fail", "services": {"db": _SERVICE}},
    Detailed: _DETAILED,
    Running: _RUNNING,
    Dashboard: {
        **_RUNNING,
        "now": "2026-01-02T03:04:18.300Z",
        "worst": {
            "service": "db",
            "status": "fail",
            "output": _TRANSITION["output"],
            "since": _TRANSITION["at"],
            "for_seconds": 12.3,
        },
        "order": ["db"],
        "actions": {"db": {"restart": "nothing is declared that restarts it", "recover": ""}},
        "uptime_bars": {
            "db": {"span_seconds": 3600, "step_seconds": 300, "start": 1767319500, "cells": [None, 1.0, 0.96]}
        },
        "operations": [],
        "resources": {"known": True, "why": "", "cpu_percent": 12.5, "memory_percent": 41.0},
        "traffic": {"known": True, "why": "", "completions_per_s": 31.0, "errors_per_s": 0.0},
        "events": {"known": True, "why": "", "items": []},
        "releases": {"known": True, "why": "", "items": []},
        "startup": {"known": False, "why": "no start of this release has been measured yet"},
        "scaling": {"known": False, "why": "nothing was ever measured here"},
        "recovery": {"known": True, "why": "", "ladders": {}},
        "degradation": {"known": True, "why": "", "degraded": False, "services": {}},
    },
    FrameChange: {
        "version": 1767323058123,
        "now": 1767323058.3,
        "taken": 1767323058.0,
        "status": "fail",
        "title": "✗ failing · shop",
        "order": ["svc-0"],
        "sections": {"release": "release 7"},
    },
    Operation: {
        "id": "0f8e2c1d4b6a7990",
        "kind": "restart",
        "service": "app",
        "actor": "token 1a2b3c4d",
        "state": "running",
        "started_at": 1767323045.678,
        "ended_at": None,
        "error": None,
        "events": [],
    },
    Maintenance: _MAINTENANCE,
    Windows: {"windows": [_MAINTENANCE]},
    WindowWanted: {"service": "db", "duration": "30m", "reason": "upgrade to 17"},
    Ended: {"ended": 1},
    Link: {
        "url": "http://127.0.0.1:8000/health/dashboard/login?code=7Qe1",
        "expires_seconds": 120.0,
        "scope": "operate",
    },
    History: {"transitions": [{**_TRANSITION, "service": "db"}]},
    Problem: {
        "type": "urn:oatie:problem:not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "there is no such service",
        "code": "not-found",
        "what": "there is no such service",
        "why": "",
        "fix": "there are: app, db, system",
        "details": [],
        "exit_code": 1,
    },
}
