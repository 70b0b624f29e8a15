"""``/api/performance/…``: what is used, how it develops, how starts went, and all of it on one page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from starlette import status
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oatie_ops.api import models_performance as shapes
from oatie_ops.api.auth import Operator
from oatie_ops.api.context import Deed, OpsContext, context_of
from oatie_ops.api.described import GUARDED, described, readable
from oatie_ops.api.problems import ApiError, NotFound
from oatie_ops.api.routing import APIRouter, Body, Path, Query
from oatie_ops.api.scaling import advice_of
from oatie_ops.performance.optimizer import NoSuchProfile
from oatie_ops.performance.overview import overview
from oatie_ops.performance.samples import samples_path
from oatie_ops.performance.startstats import read_stats
from oatie_ops.performance.trends import MAX_HOURS, read_trends
from oatie_ops.performance.usage import Usage, usage_of
from oatie_ops.store import StoreError

PREFIX = "/api/performance"

router = APIRouter(tags=["performance"])

T = TypeVar("T")
Hours = Annotated[
    float, Query(gt=0, le=MAX_HOURS, allow_inf_nan=False, description="How far back; 1 without it.")
]
ProfileId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


@router.get(
    f"{PREFIX}/resources/current",
    summary="What is used now; the limits of a container go before the host's.",
    **readable(shapes.ResourceUsage, 503),
)
async def current(request: Request) -> Response:
    usage = _usage(context_of(request))
    if usage is None:
        raise ApiError(
            503,
            "nothing was measured yet",
            why="the supervisor has just started",
            fix="ask again in a second",
        )
    return JSONResponse(usage.as_dict())


@router.get(
    f"{PREFIX}/resources/trends",
    summary="Minimum, mean, maximum and p95 over time, slopes, and what they mean.",
    **readable(shapes.ResourceTrends, 422, 503),
)
async def trends(request: Request, hours: Hours = 1.0) -> Response:
    path = samples_path(context_of(request).view.paths.home)
    return Response(await _read(lambda: read_trends(path, hours).json), media_type="application/json")


@router.get(
    f"{PREFIX}/startup/stats",
    summary="How long starts took, by release and phase, and what would make them faster.",
    **readable(shapes.StartupStats, 503),
)
async def startup_stats(request: Request) -> Response:
    path = samples_path(context_of(request).view.paths.home)
    return JSONResponse(await _read(lambda: read_stats(path).as_dict()))


@router.post(
    f"{PREFIX}/startup/profile",
    summary="Begin a profile of a start; its checkpoints follow.",
    status_code=status.HTTP_201_CREATED,
    responses=described(shapes.ProfileBegun, 201, problems=(415, 422, *GUARDED)),
)
async def begin(
    request: Request,
    caller: Operator,
    wanted: Annotated[shapes.ProfileWanted, Body()],
) -> Response:
    context = context_of(request)
    profile = context.profiles.start_profiling(wanted.name)
    context.audit(Deed(caller.actor, caller.origin, "startup-profile", wanted.name, "begun", profile))
    return JSONResponse({"id": profile, "name": wanted.name}, status.HTTP_201_CREATED)


@router.post(
    f"{PREFIX}/startup/profile/{{profile_id}}/checkpoint",
    summary="A moment of the start, and what was waited for until then.",
    status_code=status.HTTP_201_CREATED,
    responses=described(shapes.Checkpoint, 201, problems=(404, 415, 422, *GUARDED)),
)
async def checkpoint(
    request: Request,
    _caller: Operator,
    profile_id: ProfileId,
    wanted: Annotated[shapes.CheckpointWanted, Body()],
) -> Response:
    try:
        made = context_of(request).profiles.add_checkpoint(profile_id, wanted.name, wanted.dependency)
    except NoSuchProfile as error:
        raise NotFound(error.what, fix=error.fix) from error
    return JSONResponse(dict(made.__dict__), status.HTTP_201_CREATED)


@router.post(
    f"{PREFIX}/startup/profile/{{profile_id}}/finish",
    summary="The end of the start: the whole profile.",
    responses=described(shapes.Profile, 200, problems=(404, 422, *GUARDED)),
)
async def finish(request: Request, caller: Operator, profile_id: ProfileId) -> Response:
    context = context_of(request)
    try:
        profile = await asyncio.to_thread(context.profiles.finish_profiling, profile_id)
    except NoSuchProfile as error:
        raise NotFound(error.what, fix=error.fix) from error
    context.audit(Deed(caller.actor, caller.origin, "startup-profile", profile.name, "finished", profile_id))
    return JSONResponse(profile.as_dict())


@router.get(
    f"{PREFIX}/overview",
    summary="All of it on one page, with a score whose parts are shown.",
    **readable(shapes.PerformanceOverview, 422, 503),
)
async def whole(request: Request, hours: Hours = 1.0) -> Response:
    context = context_of(request)
    path, usage = samples_path(context.view.paths.home), _usage(context)
    advice = (await advice_of(context)).as_dict()

    def read() -> dict[str, Any]:
        return overview(usage, read_trends(path, hours), read_stats(path), advice).as_dict()

    return JSONResponse(await _read(read))


def _usage(context: OpsContext) -> Usage | None:
    measured = context.measured()
    return usage_of(measured) if measured is not None and measured.values else None


async def _read(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except StoreError as error:
        raise ApiError(503, "the store cannot be used now", why=error.why, fix=error.fix) from error
