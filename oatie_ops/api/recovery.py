"""Recovery over HTTP: what the ladders are and did, and climbing one because somebody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oatie_ops.api import models, models_recovery
from oatie_ops.api.auth import Caller, Operator
from oatie_ops.api.context import Deed, OpsContext, context_of
from oatie_ops.api.described import GUARDED, described, readable
from oatie_ops.api.operations import Operation
from oatie_ops.api.problems import ApiError, NotFound
from oatie_ops.api.routing import APIRouter, Path, Query
from oatie_ops.errors import OatieError
from oatie_ops.recovery import ladder_report
from oatie_ops.recovery.ladder import Ladder, Rung
from oatie_ops.recovery.ladder_errors import NoLadder, ladder_of
from oatie_ops.recovery.ladder_loop import Recovery
from oatie_ops.store import StoreError

MAX_REASON_CHARACTERS = 500
MAX_RUNGS = 100

ServiceName = Annotated[str, Path(max_length=200)]
Reason = Annotated[
    str, Query(max_length=MAX_REASON_CHARACTERS, description="Why, for the journal and the audit.")
]

router = APIRouter(tags=["recovery"])


@router.post(
    "/api/performance/errors/services/{service}/recover",
    summary="Climb the recovery ladder of a service now, whatever holds it back, and prove the result.",
    status_code=202,
    responses=described(models.Operation, 202, problems=(404, 409, 422, *GUARDED)),
)
async def recover(
    request: Request,
    service: ServiceName,
    caller: Operator,
    reason: Reason = "",
    from_rung: Annotated[int, Query(ge=1, le=MAX_RUNGS, description="The rung to begin with.")] = 1,
) -> Response:
    context = context_of(request)
    recovery = known(context, service)
    ladder = _ladder(recovery, service)
    if from_rung > len(ladder.rungs):
        raise NotFound(f"there is no rung {from_rung}", fix=f"there are 1 to {len(ladder.rungs)}")
    events: list[dict[str, Any]] = []

    async def work() -> dict[str, Any]:
        return await recovery.recover(
            service, from_rung=from_rung, actor=caller.actor, reason=reason, emit=events.append
        )

    context.audit(Deed(caller.actor, caller.origin, "recover", service, "requested", reason))
    operation = await context.operations.start("recover", service, caller.actor, work, events)
    return accepted(operation)


@router.get(
    "/api/performance/errors/recovery",
    summary="Every recovery ladder: its rungs, where it stands, success rates and mean time to repair.",
    **readable(models_recovery.Ladders, 503),
)
async def overview(request: Request) -> Response:
    context = context_of(request)
    ladders = _recovery(context).ladders
    return await _from_store(lambda: ladder_report.overview(context.view.paths.database, ladders))


@router.get(
    "/api/performance/errors/recovery/history",
    summary="The newest recoveries with every try and its proof.",
    **readable(models_recovery.RecoveryHistory, 404, 422, 503),
)
async def history(
    request: Request,
    service: Annotated[str | None, Query(max_length=200, description="Only of this one.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = ladder_report.HISTORY_LIMIT,
) -> Response:
    context = context_of(request)
    if service is not None:
        known(context, service)
    return await _from_store(lambda: ladder_report.history(context.view.paths.database, service, limit))


async def restart_declared(context: OpsContext, service: str, caller: Caller, reason: str) -> Response:
    """For ``POST /health/services/{service}/restart`` of what is not the application."""
    recovery = known(context, service)
    ladder = recovery.ladders.get(service)
    rung = restart_rung(ladder)
    if rung is None:
        raise _no_restart(service, ladder)
    chosen: Rung = rung
    events: list[dict[str, Any]] = []

    async def work() -> dict[str, Any]:
        return await recovery.restart(service, chosen, actor=caller.actor, reason=reason, emit=events.append)

    context.audit(Deed(caller.actor, caller.origin, "restart", service, "requested", reason))
    return accepted(await context.operations.start("restart", service, caller.actor, work, events))


async def _from_store(read: Callable[[], dict[str, Any]]) -> Response:
    try:
        return JSONResponse(await asyncio.to_thread(read))
    except StoreError as error:
        raise ApiError(503, "the store cannot be used now", why=error.why, fix=error.fix) from error


def restart_rung(ladder: Ladder | None) -> Rung | None:
    """The rung that restarts the service; None where nothing is declared for that."""
    return ladder.restart if ladder else None


def accepted(operation: Operation) -> Response:
    where = f"/health/operations/{operation.id}"
    return JSONResponse(operation.as_dict(), 202, {"Location": where})


def known(context: OpsContext, service: str) -> Recovery:
    """Raises `NotFound`."""
    services = context.snapshot().services
    if service not in services:
        raise NotFound("there is no such service", fix=f"there are: {', '.join(services)}")
    return _recovery(context)


def _recovery(context: OpsContext) -> Recovery:
    if context.recovery is None:
        raise ApiError(503, "nothing is recovered from here", fix="ask the supervisor of the application")
    return context.recovery


def _ladder(recovery: Recovery, service: str) -> Ladder:
    try:
        return ladder_of(service, recovery.ladders)
    except NoLadder as error:
        raise ApiError(422, error.what, why=error.why, fix=error.fix) from error


def _no_restart(service: str, ladder: Ladder | None) -> OatieError:
    if ladder is None:
        why = f"[services.{service}] declares no `recover`"
        fix = f'such as recover = [ {{ restart = "systemd:{service}" }} ] in oatie.toml'
    else:
        why = f"no rung of [services.{service}] recover restarts anything"
        fix = f"climb its ladder: POST /api/performance/errors/services/{service}/recover"
    return ApiError(409, f"nothing is declared that restarts {service}", why=why, fix=fix)
