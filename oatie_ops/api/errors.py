"""``/api/performance/errors/summary`` and ``…/services``: what went wrong, grouped, and where it stands."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oatie_ops.api import models_errors
from oatie_ops.api.auth import seen
from oatie_ops.api.context import OpsContext, context_of
from oatie_ops.api.described import readable
from oatie_ops.api.problems import ApiError
from oatie_ops.api.routing import APIRouter, Query
from oatie_ops.health.report import iso_epoch
from oatie_ops.recovery import errors_services, errors_summary
from oatie_ops.recovery.breaker.declared import config_of
from oatie_ops.redaction import redact_value
from oatie_ops.store import Store, StoreError

MAX_GROUPS = 1000

router = APIRouter(tags=["errors"])


@router.get(
    "/api/performance/errors/summary",
    summary="Errors of the application and its services, grouped, newest first.",
    **readable(models_errors.ErrorSummary, 422, 503),
)
async def errors(
    request: Request,
    service: Annotated[str | None, Query(max_length=200, description="Only of this service.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_GROUPS, description="Groups to show.")] = 20,
) -> Response:
    context = context_of(request)
    path = context.view.paths.database
    try:
        found = await asyncio.to_thread(errors_summary.from_database, path, service, shown=limit)
    except StoreError as error:
        raise ApiError(503, "the store cannot be used now", why=error.why, fix=error.fix) from error
    return JSONResponse(seen(request, redact_value(dated(found))))


@router.get(
    "/api/performance/errors/services",
    summary="Each service: its health, its circuit breaker on this host, and its errors.",
    **readable(models_errors.ServicesErrors, 503),
)
async def services(request: Request) -> Response:
    context = context_of(request)
    try:
        found = await asyncio.to_thread(_services, context)
    except StoreError as error:
        raise ApiError(503, "the store cannot be used now", why=error.why, fix=error.fix) from error
    return JSONResponse(redact_value({"services": found}))


def _services(context: OpsContext) -> dict[str, Any]:
    settings, paths = context.view.settings, context.view.paths
    configs = {
        name: config_of(service.breaker)
        for name, service in settings.services.items()
        if service.breaker is not None
    }
    health = {name: service.status.value for name, service in context.snapshot().services.items()}
    with Store.open(paths.database, busy_timeout_seconds=errors_summary.BUSY_TIMEOUT_SECONDS) as store:
        groups, lately = errors_summary.groups(store), store.errors.lately()
    found = errors_services.services(
        settings.services, groups, lately, errors_services.breakers(paths.breakers, configs), health
    )
    return {
        name: {**service, "last_error_at": _iso(service["last_error_at"])} for name, service in found.items()
    }


def dated(found: dict[str, Any]) -> dict[str, Any]:
    """Epoch seconds as ISO 8601."""
    shown = [
        {**group, "first_at": iso_epoch(group["first_at"]), "last_at": iso_epoch(group["last_at"])}
        for group in found["groups"]
    ]
    return {**found, "last_at": _iso(found["last_at"]), "groups": shown}


def _iso(at: float | None) -> str | None:
    return None if at is None else iso_epoch(at)
