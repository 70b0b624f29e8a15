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


Examples = dict[type[BaseModel], dict[str, Any]]


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
