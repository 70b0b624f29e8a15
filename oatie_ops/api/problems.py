"""The one place where an error becomes an HTTP answer: problem details (RFC 9457) with what, why and fix."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from oatie_ops.api.routing import InvalidRequest
from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.redaction import redact

MEDIA_TYPE = "application/problem+json"
# In a request's scope: what is found out about it on its way, for the audit.
NOTES = "oatie.notes"

log = logging.getLogger(__name__)

_STATUS_OF_EXIT_CODE = {
    ExitCode.USAGE: 400,
    ExitCode.LOCKED: 409,
    ExitCode.ROLLED_BACK: 409,
    ExitCode.CONFIG_INVALID: 422,
    ExitCode.PREREQUISITE_MISSING: 503,
}


class ApiError(OatieError):
    """An error with an HTTP status of its own, and headers that belong to it."""

    def __init__(
        self, status: int, what: str, *, why: str = "", fix: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(what, why=why, fix=fix)
        self.status = status
        self.headers = headers or {}

    @property
    def code(self) -> str:
        return HTTPStatus(self.status).phrase.lower().replace(" ", "-")


class NotFound(ApiError):
    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(404, what, fix=fix)


def problem(status: int, error: OatieError, headers: dict[str, str] | None = None) -> JSONResponse:
    """``what``, ``why``, ``fix``, ``details`` and ``exit_code`` extend the standard members."""
    body = {
        "type": f"urn:oatie:problem:{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": redact(f"{error.what}: {error.why}" if error.why else error.what),
        **error.as_dict(),
    }
    return JSONResponse(body, status, {"Cache-Control": "no-store", **(headers or {})}, MEDIA_TYPE)


def install(app: Starlette) -> None:
    app.add_exception_handler(OatieError, _oatie)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(InvalidRequest, _invalid)
    app.add_exception_handler(ClientDisconnect, _broken_off)
    app.add_exception_handler(Exception, _unforeseen)


async def _oatie(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OatieError)
    request.scope.setdefault(NOTES, {})["why"] = f"{error.what}: {error.why}" if error.why else error.what
    if isinstance(error, ApiError):
        return problem(error.status, error, error.headers)
    return problem(_STATUS_OF_EXIT_CODE.get(error.exit_code, 500), error)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}: {HTTPStatus(error.status_code).phrase.lower()}"
    shown = ApiError(error.status_code, what, fix="GET /openapi.json lists what there is")
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_allowed(request)))
    return problem(error.status_code, shown, headers)


def _allowed(request: Request) -> set[str]:
    """Of all routes of the path; the framework names those of the first only. HEAD comes with GET."""
    found = {
        method
        for route in request.app.routes
        if route.path_regex.match(request.url.path)
        for method in route.methods
    }
    return found | {"HEAD"} if "GET" in found else found


async def _broken_off(request: Request, _error: Exception) -> JSONResponse:
    """Nobody reads it, but the audit shall not speak of a defect of ours."""
    request.scope.setdefault(NOTES, {})["why"] = why = "the body did not come to its end"
    return problem(400, ApiError(400, "the request broke off", why=why))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, InvalidRequest)
    # Not the values: a secret may have been sent to the wrong place.
    found: list[dict[str, Any]] = [
        {"where": ".".join(str(part) for part in item["loc"]), "message": item["msg"]}
        for item in error.problems
    ]
    why = "; ".join(f"{item['where']}: {item['message']}" for item in found)
    request.scope.setdefault(NOTES, {})["why"] = f"the request is not valid: {why}"
    return problem(422, ApiError(422, "the request is not valid", why=why))


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    # The framework logs it with its traceback; the caller learns nothing about the inside.
    log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
    shown = ApiError(500, "the ops API has a defect", fix="see `oatie logs` for the details")
    return problem(500, shown)
