"""The schema of ``[services.NAME]``: breaker, recovery ladder, degradation, and its check."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    JsonValue,
    ModelWrapValidatorHandler,
    model_validator,
)

from oatie_ops.config import defaults
from oatie_ops.config.fields import (
    SENSITIVE,
    Argv,
    Duration,
    PositiveDuration,
    RoutePattern,
    Strings,
    refuse,
)
from oatie_ops.config.schema_checks import AnyCheck, Share
from oatie_ops.config.schema_table import Table


class Breaker(Table):
    failure_threshold: int = Field(default=5, ge=1)
    """Failures in a row that open the breaker (`window = "consecutive"`)."""
    success_threshold: int = Field(default=3, ge=1)
    """Successes of trial calls that close it again."""
    timeout: PositiveDuration = 60.0
    """Deadline of one call, and the longest that a trial call keeps its place."""
    recovery_timeout: PositiveDuration = 300.0
    """How long it stays open before the first trial call."""
    window: Literal["consecutive", "count", "time"] = "consecutive"
    """What opens it: failures in a row, or the rate among the last `window_size` calls or seconds."""
    window_size: Annotated[float, Field(gt=0)] = 100
    """Calls (`window = "count"`) or seconds (`window = "time"`) that are looked at."""
    minimum_calls: int = Field(default=10, ge=1)
    """Fewer calls than this in the window never open it."""
    failure_rate: Share = 0.5
    """Share of failures in the window from which it opens."""
    slow_call_duration: PositiveDuration | None = None
    """A call that took longer is slow; needs a window."""
    slow_call_rate: Share = 1.0
    """Share of slow calls in the window from which it opens."""
    max_probes: int | None = Field(default=None, ge=1, le=16)
    """Trial calls at a time on this host; as many as successes are needed without it."""
    probe_lease: PositiveDuration | None = None
    """After this a trial call that has not ended gives its place to another."""
    recovery_timeout_growth: Annotated[float, Field(ge=1)] = 2.0
    """Each time a trial fails, it stays open this many times longer."""
    recovery_timeout_max: PositiveDuration | None = None
    """The longest that it stays open; ten times `recovery_timeout` without it."""
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Open periods after the first vary at random by up to this share."""

    @model_validator(mode="wrap")
    @classmethod
    def _belongs_together(cls, value: Any, handler: ModelWrapValidatorHandler[Breaker]) -> Breaker:
        breaker = handler(value)
        if breaker.slow_call_duration is not None and breaker.window == "consecutive":
            raise refuse('`slow_call_duration` needs `window = "count"` or `"time"`')
        longest = breaker.recovery_timeout_max
        if longest is not None and longest < breaker.recovery_timeout:
            raise refuse("`recovery_timeout_max` must not be less than `recovery_timeout`")
        return breaker


ACTIONS = ("restart", "run", "webhook", "degrade", "page")


class Rung(Table):
    """One step of the ladder: exactly one action, and how its success is proven."""

    restart: str | None = None
    """"worker", "process", "app", "rollout", "systemd:UNIT" or "docker:CONTAINER"."""
    run: Argv | None = None
    """Program and arguments, run without a shell."""
    webhook: str | None = Field(default=None, json_schema_extra=SENSITIVE)
    """Address to POST to."""
    degrade: str | None = None
    """Service to degrade."""
    page: str | None = None
    """Name of an [alerts.NAME] to notify."""
    max: int = Field(default=1, ge=1)
    """Attempts before the next rung."""
    settle: Duration = defaults.RUNG_SETTLE_SECONDS
    """Time to wait after the action before it is verified."""
    timeout: PositiveDuration = defaults.RUNG_TIMEOUT_SECONDS
    """Deadline of the action."""
    verify: str | None = None
    """Service whose check proves the success; this service without it."""

    @model_validator(mode="wrap")
    @classmethod
    def _one_action(cls, value: Any, handler: ModelWrapValidatorHandler[Rung]) -> Rung:
        rung = handler(value)
        chosen = [name for name in ACTIONS if getattr(rung, name) is not None]
        if len(chosen) != 1:
            names = ", ".join(f"`{name}`" for name in ACTIONS)
            raise refuse(f"needs exactly one of {names}")
        return rung


class CannedResponse(Table):
    match: str
    """Method and path, such as "GET /api/reports"; a path alone matches every method."""
    status: int = Field(default=200, ge=100, le=599)
    """Status of the answer."""
    body: JsonValue = None
    """Body of the answer: a table or a list becomes JSON."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers of the answer."""


class Degrade(Table):
    auto: Strings = Field(default_factory=list)
    """Services whose failure degrades this one by itself; "load": overload does, by `priority`."""
    priority: int = Field(default=5, ge=1, le=9)
    """With "load" in `auto`: 9 is shed first, 1 last."""
    responses: list[CannedResponse] = Field(default_factory=list)
    """Answers served while degraded; 503 with Retry-After where none matches."""
    retry_after: Duration = 30.0
    """Retry-After of a refused request."""


class Service(Table):
    check: AnyCheck | None = None
    """How its health is found out."""
    breaker: Breaker | None = None
    """Circuit breaker around calls to it."""
    recover: list[Rung] = Field(default_factory=list)
    """Recovery ladder: what is tried, in this order, when it has failed."""
    routes: list[RoutePattern] = Field(default_factory=list)
    """Routes of the application that belong to it; `*` at the end matches the rest."""
    needs: Strings = Field(default_factory=list)
    """Services that it depends on."""
    degrade: Degrade | None = None
    """What is served while it is degraded."""
