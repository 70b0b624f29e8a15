"""``/health*``: reads the one snapshot and nothing else; no request ever runs a check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oatie_ops._version import __version__
from oatie_ops.api import models
from oatie_ops.api.auth import READER, Operator, seen
from oatie_ops.api.context import Deed, OpsContext, context_of
from oatie_ops.api.described import GUARDED, OPEN_ON_LOOPBACK, described
from oatie_ops.api.pieces import json_of
from oatie_ops.api.problems import ApiError, NotFound
from oatie_ops.api.recovery import accepted, restart_declared
from oatie_ops.api.routing import APIRouter, Path, Query
from oatie_ops.health import report
from oatie_ops.health.groups import GROUPS
from oatie_ops.health.model import ServiceState, Status
from oatie_ops.health.plan import APP
from oatie_ops.printable import printable

HEALTH_JSON = "application/health+json"
MAX_REASON_CHARACTERS = 500

Reason = Annotated[
    str, Query(max_length=MAX_REASON_CHARACTERS, description="Why, for the log and the audit.")
]

ServicePath = Annotated[str, Path(description="As in oatie.toml; `app` is the application.", examples=[APP])]
OperationPath = Annotated[str, Path(description="As `Location` told it.", examples=["3f1c9a52d0e4b7a1"])]

router = APIRouter(tags=["health"])


def status_code(word: Status) -> int:
    """A warning still serves. What is unknown is no failure, except where traffic depends on it (groups)."""
    return 503 if word is Status.FAIL else 200


@router.get("/health", summary="One word: is everything well?", responses=described(models.Brief, 200, 503))
async def brief(request: Request) -> Response:
    context = context_of(request)
    snapshot = context.snapshot()
    media_type = HEALTH_JSON if _wants_health_json(request) else "application/json"
    body = _brief(context, snapshot.status, lambda: snapshot.cause)
    return JSONResponse(body, status_code(snapshot.status), media_type=media_type)


@router.get(
    "/health/live",
    summary="Is `oatie` alive? Never asks about anything else.",
    responses=described(models.Brief, 200),
)
async def live(request: Request) -> Response:
    return _group(request, "live")


@router.get(
    "/health/ready",
    summary="May the application get traffic? Unknown is 503.",
    responses=described(models.Brief, 200, 503),
)
async def ready(request: Request) -> Response:
    return _group(request, "ready")


@router.get(
    "/health/startup",
    summary="Has the application started? Unknown is 503.",
    responses=described(models.Brief, 200, 503),
)
async def startup(request: Request) -> Response:
    return _group(request, "startup")


@router.get(
    "/health/detailed",
    summary="Every service with its checks; `Accept: application/health+json` for the draft's shape.",
    responses=described(models.Detailed, 200, 503, problems=GUARDED),
    dependencies=[READER],
    openapi_extra=OPEN_ON_LOOPBACK,
)
async def detailed(request: Request) -> Response:
    context = context_of(request)
    snapshot = context.snapshot()
    code = status_code(snapshot.status)
    if _wants_health_json(request):
        draft = report.health_json(snapshot, __version__, context.view.status().get("release"))
        body = await json_of(draft, "checks", report.components(snapshot))
        return Response(body, code, media_type=HEALTH_JSON)
    now = context.clock()
    body = await json_of(report.summary(snapshot, now), "services", report.each_service(snapshot, now))
    return Response(body, code, media_type="application/json")


@router.get(
    "/health/services",
    summary="Every service.",
    responses=described(models.Services, 200, 503, problems=GUARDED),
    dependencies=[READER],
    openapi_extra=OPEN_ON_LOOPBACK,
)
async def services(request: Request) -> Response:
    context = context_of(request)
    snapshot = context.snapshot()
    head = {"status": snapshot.status.value}
    body = await json_of(head, "services", report.each_service(snapshot, context.clock()))
    return Response(body, status_code(snapshot.status), media_type="application/json")


@router.get(
    "/health/services/{service}",
    summary="One service; the status code is its own.",
    responses=described(models.Service, 200, 503, problems=(404, 422, *GUARDED)),
    dependencies=[READER],
    openapi_extra=OPEN_ON_LOOPBACK,
)
async def service(request: Request, service: ServicePath) -> Response:
    context = context_of(request)
    state = _service(context, service)
    return JSONResponse(report.service(state, context.clock()), status_code(state.status))


@router.post(
    "/health/services/{service}/restart",
    summary="Restart a service. `app`: new workers of the same release, without losing a request; another: "
    "the first `restart` of its recovery ladder, proven by its checks.",
    status_code=202,
    responses=described(models.Operation, 202, problems=(404, 409, 422, *GUARDED)),
)
async def restart(request: Request, service: ServicePath, caller: Operator, reason: Reason = "") -> Response:
    context = context_of(request)
    _service(context, service)
    if service != APP:
        return await restart_declared(context, service, caller, reason)
    # Written down before anything happens; how it ends is a line of its own.
    context.audit(Deed(caller.actor, caller.origin, "restart", service, "requested", reason))
    operation = await context.operations.start(
        "restart", service, caller.actor, lambda: context.view.reload(_actor_text(caller.actor, reason))
    )
    return accepted(operation)


@router.post(
    "/health/services/{service}/heartbeat",
    summary="A service with a check of type heartbeat calls in; silence makes it fail.",
    responses=described(models.Brief, 200, problems=(404, 409, 422, *GUARDED)),
)
async def heartbeat(
    request: Request,
    service: ServicePath,
    caller: Operator,
    status: Annotated[Status, Query(description="How the service finds itself.")] = Status.PASS,
    output: Annotated[str, Query(max_length=500, description="Why, for people.")] = "",
) -> Response:
    context = context_of(request)
    _service(context, service)
    if not context.beat(service, status, output or f"called in ({caller.actor})"):
        raise ApiError(
            409,
            f"{service} has no heartbeat",
            why="it has no check of type heartbeat",
            fix=f'give services.{service} a check with type = "heartbeat"',
        )
    return JSONResponse({"status": status.value})


@router.get(
    "/health/operations/{operation}",
    summary="What became of an operation.",
    responses=described(models.Operation, 200, problems=(404, 422, *GUARDED)),
    dependencies=[READER],
    openapi_extra=OPEN_ON_LOOPBACK,
)
async def operation(request: Request, operation: OperationPath) -> Response:
    found = context_of(request).operations.get(operation)
    if found is None:
        raise NotFound("there is no such operation", fix="only the latest hundred are kept, in memory")
    return JSONResponse(seen(request, found.as_dict()))


def _group(request: Request, name: str) -> Response:
    context = context_of(request)
    verdict = GROUPS[name](context.snapshot(), context.clock())
    code = 200 if verdict.status in (Status.PASS, Status.WARN) else 503
    return JSONResponse(_brief(context, verdict.status, lambda: verdict.output), code)


def _brief(context: OpsContext, word: Status, why: Callable[[], str]) -> dict[str, str]:
    """These paths answer everybody: why it is so they tell only where ``ops.public_details`` says so."""
    output = why() if context.tells_everybody else ""
    return {"status": word.value, **({"output": output} if output else {})}


def _service(context: OpsContext, name: str) -> ServiceState:
    known = context.snapshot().services
    if name not in known:
        raise NotFound("there is no such service", fix=f"there are: {', '.join(known)}")
    return known[name]


def _actor_text(actor: str, reason: str) -> str:
    """For the log: on one line, whatever the reason holds."""
    told = printable(reason)
    return f"{actor} ({told})" if told.strip() else actor


def _wants_health_json(request: Request) -> bool:
    return HEALTH_JSON in request.headers.get("accept", "")
