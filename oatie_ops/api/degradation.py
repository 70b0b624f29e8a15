"""``/api/performance/errors/…``: degrading a service of the running application, and restoring it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oatie_ops.api import models
from oatie_ops.api.auth import READER, Caller, Operator, seen
from oatie_ops.api.context import OpsContext, context_of
from oatie_ops.api.described import GUARDED, OPEN_ON_LOOPBACK, refused
from oatie_ops.api.lasting import LASTING, PERMANENT
from oatie_ops.api.problems import ApiError, NotFound
from oatie_ops.api.routing import APIRouter, Body, Query
from oatie_ops.api.shield import TRUSTED
from oatie_ops.degradation import status as statuses
from oatie_ops.degradation.conductor import Conductor, Done
from oatie_ops.degradation.decision import DEFAULT_SECONDS, FULL

PREFIX = "/api/performance/errors"
MAX_TEXT = 500

router = APIRouter(tags=["degradation"])

_Duration = (
    Annotated[str, Field(pattern=LASTING, max_length=30)]
    | Annotated[float, Field(gt=0, le=models.MAX_WINDOW_SECONDS, allow_inf_nan=False)]
)
Reason = Annotated[str | None, Query(max_length=MAX_TEXT, description="Why, for everybody who asks.")]
Level = Annotated[int | None, Query(ge=0, le=FULL, description="Percent of requests; 0: keep it as it is.")]
Lasting = Annotated[
    str | None,
    Query(
        pattern=LASTING,
        max_length=30,
        description='"1h" without it; from 1ms to 366 days, or "permanent".',
    ),
]


class DegradeWanted(models.Wanted):
    """All of it may be left out; ``actor`` and ``origin`` count on the owner's socket only."""

    reason: str = Field(default="", max_length=MAX_TEXT)
    level: int = Field(default=FULL, ge=0, le=FULL)
    duration: _Duration | None = None
    actor: str = Field(default="", max_length=MAX_TEXT)
    origin: str = Field(default="", max_length=MAX_TEXT)


class RestoreWanted(models.Wanted):
    reason: str = Field(default="", max_length=MAX_TEXT)
    actor: str = Field(default="", max_length=MAX_TEXT)
    origin: str = Field(default="", max_length=MAX_TEXT)


class SwitchDecision(models.Shape):
    """``counts``: it is the one that workers obey. ``owner``: operator > breaker > application > load."""

    service: str
    owner: Literal["operator", "breaker", "application", "load"]
    level: int
    reason: str
    cause: str
    actor: str
    origin: str
    host: str | None
    since: str
    until: str | None
    left_seconds: float | None
    overruled_by: str | None
    counts: bool


class SwitchState(models.Shape):
    degraded: bool
    level: int
    owner: str | None
    reason: str | None
    actor: str | None
    since: str | None
    until: str | None
    left_seconds: float | None
    routes: list[str]
    decisions: list[SwitchDecision]


class SwitchStatus(models.Shape):
    """``stale``: why other hosts are not heard of; ``problem``: what the store does not know yet."""

    degraded: bool
    degraded_services: list[str]
    stale: str | None
    problem: str | None
    services: dict[str, SwitchState]


class SwitchDone(SwitchState):
    """``obeying`` of the ``workers`` that serve act on it, the last of them after ``seconds``."""

    service: str
    workers: int
    obeying: int
    seconds: float | None
    stale: str | None
    problem: str | None


_DECISION = {
    "service": "reports",
    "owner": "operator",
    "level": 100,
    "reason": "high_load",
    "cause": "",
    "actor": "alice",
    "origin": "ssh 192.0.2.7",
    "host": None,
    "since": "2026-01-02T03:00:00.000Z",
    "until": "2026-01-02T04:00:00.000Z",
    "left_seconds": 3599.2,
    "overruled_by": None,
    "counts": True,
}
_STATE = {
    "degraded": True,
    "level": 100,
    "owner": "operator",
    "reason": "high_load",
    "actor": "alice",
    "since": _DECISION["since"],
    "until": _DECISION["until"],
    "left_seconds": _DECISION["left_seconds"],
    "routes": ["/api/reports*"],
    "decisions": [_DECISION],
}
_STATUS = {
    "degraded": True,
    "degraded_services": ["reports"],
    "stale": None,
    "problem": None,
    "services": {"reports": _STATE},
}
_DONE = {
    "service": "reports",
    "workers": 4,
    "obeying": 4,
    "seconds": 0.0031,
    "stale": None,
    "problem": None,
    **_STATE,
}

_RESTORED = {
    **_DONE,
    **dict.fromkeys(("owner", "reason", "actor", "since", "until", "left_seconds")),
    "degraded": False,
    "level": 0,
    "decisions": [],
}


def _described(model: type[models.Shape], example: dict[str, Any], *problems: int) -> dict[int | str, Any]:
    content = {"application/json": {"example": example}}
    return {200: {"model": model, "content": content}} | refused(*problems)


@router.get(
    f"{PREFIX}/degradation/status",
    summary="What is degraded, who decided it, and until when.",
    responses=_described(SwitchStatus, _STATUS, *GUARDED),
    dependencies=[READER],
    openapi_extra=OPEN_ON_LOOPBACK,
)
async def status(request: Request) -> Response:
    conductor = _conductor(context_of(request))
    return JSONResponse(seen(request, statuses.status(conductor.known, conductor.now())))


@router.post(
    f"{PREFIX}/services/{{service}}/degrade",
    summary="Degrade a service of the running application; answers when the workers obey.",
    responses=_described(SwitchDone, _DONE, 404, 415, 422, 503, *GUARDED),
)
async def degrade(
    request: Request,
    service: str,
    caller: Operator,
    *,
    reason: Reason = None,
    level: Level = None,
    duration: Lasting = None,
    body: Annotated[
        DegradeWanted | None, Body(openapi_examples={"load": {"value": {"reason": "high_load"}}})
    ] = None,
) -> Response:
    context = context_of(request)
    conductor = _conductor(context)
    _require_known(context, conductor, service)
    wanted = body or DegradeWanted()
    actor, origin = _who(request, caller, wanted.actor, wanted.origin)
    done = await conductor.degrade(
        service,
        reason=wanted.reason if reason is None else reason,
        level=wanted.level if level is None else level,
        seconds=_seconds(wanted.duration if duration is None else duration),
        actor=actor,
        origin=origin,
    )
    return JSONResponse(_answer(service, done))


@router.post(
    f"{PREFIX}/services/{{service}}/restore",
    summary="Restore a service; automatic decisions are overruled until their cause is over.",
    responses=_described(
        SwitchDone,
        _RESTORED,
        404,
        415,
        422,
        503,
        *GUARDED,
    ),
)
async def restore(
    request: Request,
    service: str,
    caller: Operator,
    *,
    reason: Reason = None,
    body: Annotated[
        RestoreWanted | None, Body(openapi_examples={"over": {"value": {"reason": "load is normal"}}})
    ] = None,
) -> Response:
    context = context_of(request)
    conductor = _conductor(context)
    _require_known(context, conductor, service)
    wanted = body or RestoreWanted()
    actor, origin = _who(request, caller, wanted.actor, wanted.origin)
    done = await conductor.restore(
        service, actor=actor, origin=origin, reason=wanted.reason if reason is None else reason
    )
    return JSONResponse(_answer(service, done))


def _conductor(context: OpsContext) -> Conductor:
    if context.switches is None:
        raise ApiError(503, "there are no switches", why="this process supervises no application")
    return context.switches


def _who(request: Request, caller: Caller, actor: str, origin: str) -> tuple[str, str]:
    """The owner's own programs say who uses them; a token speaks for itself."""
    if request.scope.get(TRUSTED):
        return actor or caller.actor, origin or caller.origin
    return caller.actor, caller.origin


def _seconds(duration: str | float | None) -> float | None:
    from oatie_ops.config.durations import parse_duration

    if duration == PERMANENT:
        return None
    seconds = DEFAULT_SECONDS if duration is None else parse_duration(duration)
    if not 0 < seconds <= models.MAX_WINDOW_SECONDS:
        raise ApiError(422, "the duration is not valid", why='from 1ms to 366 days, or "permanent"')
    return seconds


def _require_known(context: OpsContext, conductor: Conductor, service: str) -> None:
    known = sorted({*context.view.settings.services, *conductor.known.rules})
    if service not in known:
        near = get_close_matches(service, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        there = (
            f"there are: {', '.join(known)}"
            if known
            else "declare [services.NAME] with `routes` in oatie.toml"
        )
        raise NotFound(f"there is no service {service!r} to degrade", fix=hint + there)


def _answer(service: str, done: Done) -> dict[str, Any]:
    told = statuses.status(done.published.bulletin, done.now)
    state = told["services"].get(service) or statuses.service(
        service, done.published.bulletin, None, done.now
    )
    return {
        "service": service,
        **state,
        **done.obeyed.to_dict(),
        "stale": told["stale"],
        "problem": told["problem"],
    }
