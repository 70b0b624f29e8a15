"""``/api/performance/scaling/…``: how many workers and replicas it should be, and making it so."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oatie_ops.api import models
from oatie_ops.api import models_scaling as shapes
from oatie_ops.api.auth import Operator
from oatie_ops.api.context import Deed, OpsContext, context_of
from oatie_ops.api.described import GUARDED, described, readable
from oatie_ops.api.problems import ApiError
from oatie_ops.api.recovery import accepted
from oatie_ops.api.routing import APIRouter, Body
from oatie_ops.scaling.live import facts_of, setup_of
from oatie_ops.scaling.recommendation import Advice
from oatie_ops.store import StoreError
from oatie_ops.traffic.totals import LATENCY_BOUNDS_SECONDS

PREFIX = "/api/performance/scaling"

router = APIRouter(tags=["performance"])


@router.get(
    f"{PREFIX}/recommendations",
    summary="What to change and on what evidence, or what is lacking to say so.",
    **readable(shapes.ScalingAdvice, 503),
)
async def recommendations(request: Request) -> Response:
    return JSONResponse((await advice_of(context_of(request))).as_dict())


@router.get(
    f"{PREFIX}/configuration",
    summary="The numbers alone: workers, replicas, pool, time-out, memory.",
    **readable(shapes.ScalingConfiguration, 503),
)
async def configuration(request: Request) -> Response:
    return JSONResponse((await advice_of(context_of(request))).configuration())


@router.post(
    f"{PREFIX}/apply",
    summary="Resize the running application without losing a request; without a number, as recommended.",
    status_code=202,
    responses=described(models.Operation, 202, problems=(409, 415, 422, 503, *GUARDED)),
)
async def apply(
    request: Request,
    caller: Operator,
    wanted: Annotated[shapes.ScaleWanted, Body()],
) -> Response:
    context = context_of(request)
    workers = wanted.workers if wanted.workers is not None else await _recommended(context)
    events: list[dict[str, Any]] = []

    async def work() -> dict[str, Any]:
        return await context.view.scale(workers, caller.actor, events.append)

    context.audit(Deed(caller.actor, caller.origin, "scale", "app", "requested", f"workers={workers}"))
    return accepted(await context.operations.start("scale", "app", caller.actor, work, events))


async def _recommended(context: OpsContext) -> int:
    advice = await advice_of(context)
    found = advice.of("workers")
    if found is None or found.value is None:
        unknown = next((one for one in advice.unknown if one.type == "workers"), None)
        raise ApiError(
            409,
            "there is no recommendation to apply",
            why=unknown.reason if unknown else "",
            fix=f"it {unknown.needs}; or say how many workers" if unknown else "say how many workers",
        )
    return int(found.value)


async def advice_of(context: OpsContext) -> Advice:
    """Of the running application; kept for half a minute. Raises `ApiError` 503."""
    view = context.view
    totals = view.traffic()
    facts = facts_of(
        view.settings,
        buckets=totals.buckets if totals else (),
        bounds_seconds=LATENCY_BOUNDS_SECONDS,
        repeats=totals.repeats if totals else (),
    )
    try:
        return await asyncio.to_thread(
            context.scaling.advice, view.paths.home, facts, setup_of(view.settings.scale)
        )
    except StoreError as error:
        raise ApiError(503, error.what, why=error.why, fix=error.fix) from error
