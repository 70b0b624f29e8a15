"""``/health/history`` and ``/health/maintenance``: what the store keeps, asked in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from starlette import status
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oatie_ops.api import models
from oatie_ops.api.auth import Operator
from oatie_ops.api.context import Deed, OpsContext, context_of
from oatie_ops.api.described import GUARDED, described, readable
from oatie_ops.api.problems import ApiError, NotFound
from oatie_ops.api.routing import APIRouter, Body, Query
from oatie_ops.config.durations import parse_duration
from oatie_ops.health import maintenance, report
from oatie_ops.health.standing import EVERYTHING
from oatie_ops.store import Store, StoreError

MAX_TRANSITIONS = 1000
BUSY_TIMEOUT_SECONDS = 2.0

router = APIRouter(tags=["history and maintenance"])

T = TypeVar("T")
ServiceName = Annotated[str | None, Query(max_length=200, description="Only of this service.")]


@router.get(
    "/health/history",
    summary="Changes of status, newest first; they outlive restarts.",
    **readable(models.History, 404, 422, 503),
)
async def history(
    request: Request,
    service: ServiceName = None,
    since: Annotated[
        str | None,
        Query(pattern=models.DURATION, max_length=30, description='How far back: "24h", "90s", or seconds.'),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_TRANSITIONS)] = 100,
) -> Response:
    context = context_of(request)
    _require_known(context, service)
    back = None if since is None else _duration(since, "since")

    def read(store: Store) -> list[dict[str, Any]]:
        oldest = 0.0 if back is None else store.now() - back
        return [
            {
                "service": row.service,
                "at": report.iso_epoch(row.at),
                "before": row.before,
                "after": row.after,
                "output": row.output,
                "consequence_of": row.consequence_of or None,
            }
            for row in store.health.transitions(service, limit=limit, since=oldest)
        ]

    return JSONResponse({"transitions": await _in_store(context, read)})


@router.get(
    "/health/maintenance",
    summary="The maintenance windows that are open.",
    **readable(models.Windows, 503),
)
async def windows(request: Request) -> Response:
    found = await _in_store(context_of(request), maintenance.active)
    return JSONResponse({"windows": [report.maintenance(window) for window in found]})


@router.post(
    "/health/maintenance",
    summary="Expect failures for a while: no alerts, and no effect on the overall status.",
    status_code=status.HTTP_201_CREATED,
    responses=described(models.Maintenance, 201, problems=(404, 415, 422, 503, *GUARDED)),
)
async def begin(
    request: Request,
    caller: Operator,
    wanted: Annotated[models.WindowWanted, Body()],
) -> Response:
    context = context_of(request)
    if wanted.service != EVERYTHING:
        _require_known(context, wanted.service)
    seconds = None if wanted.duration is None else _duration(wanted.duration, "duration")
    if seconds is not None and not 0 < seconds <= models.MAX_WINDOW_SECONDS:
        raise ApiError(422, "the request is not valid", why="duration: must be more than 0, at most 366 days")
    window = await _in_store(
        context,
        lambda store: maintenance.begin(
            store, service=wanted.service, seconds=seconds, reason=wanted.reason, actor=caller.actor
        ),
    )
    context.audit(Deed(caller.actor, caller.origin, "maintenance", wanted.service, "begun", wanted.reason))
    context.windows_changed()
    return JSONResponse(report.maintenance(window), status.HTTP_201_CREATED)


@router.delete(
    "/health/maintenance",
    summary="End windows: that of a service, the one with an id, or all.",
    responses=described(models.Ended, 200, problems=(404, 422, 503, *GUARDED)),
)
async def end(
    request: Request,
    caller: Operator,
    service: ServiceName = None,
    id: Annotated[int | None, Query(ge=1, le=2**53, description="Only this one.")] = None,
) -> Response:
    context = context_of(request)
    if service != EVERYTHING:
        _require_known(context, service)
    ended = await _in_store(
        context, lambda store: maintenance.end(store, actor=caller.actor, service=service, number=id)
    )
    context.audit(
        Deed(caller.actor, caller.origin, "maintenance", service or EVERYTHING, "ended", f"{ended} windows")
    )
    context.windows_changed()
    return JSONResponse({"ended": ended})


async def _in_store(context: OpsContext, work: Callable[[Store], T]) -> T:
    def run() -> T:
        with Store.open(context.view.paths.database, busy_timeout_seconds=BUSY_TIMEOUT_SECONDS) as store:
            return work(store)

    try:
        return await asyncio.to_thread(run)
    except StoreError as error:
        raise ApiError(503, "the store cannot be used now", why=error.why, fix=error.fix) from error


def _require_known(context: OpsContext, service: str | None) -> None:
    known = context.snapshot().services
    if service is not None and service not in known:
        raise NotFound("there is no such service", fix=f"there are: {', '.join(known)}")


def _duration(value: str | float, name: str) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ApiError(422, "the request is not valid", why=f"{name} {error}") from error
