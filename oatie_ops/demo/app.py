"""The built-in demo service, ``oatie_ops.demo.app:app``: what an empty directory deploys.

A small reports service as a plain ASGI application. Endpoints are listed on its front page (`page.py`).
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from oatie_ops.degradation.manager import degradation_manager
from oatie_ops.demo.data import LEDGER_DAYS, REGIONS, Ledger, data_directory
from oatie_ops.demo.page import front_page
from oatie_ops.demo.web import (
    ClientGone,
    HttpError,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    json_response,
    request_from,
    send_response,
)

MAX_SLOW_SECONDS = 30.0
MAX_LISTED = 100
MAX_TITLE_CHARACTERS = 200
FLAKY = "flaky"

T = TypeVar("T")
Handler = Callable[["Demo", Request], Awaitable[Response]]


class Demo:
    """One worker's demo. SQLite blocks, so it lives in a thread of its own, with the one connection."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="demo-data")
        self._ledger: Ledger | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1003})

    async def data(self, work: Callable[[Ledger], T]) -> T:
        def in_thread() -> T:
            # Opened on first use: a server may run an application without its lifespan.
            if self._ledger is None:
                self._ledger = Ledger(data_directory() / "demo.db")
            return work(self._ledger)

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.data(Ledger.ping)
        except (OSError, sqlite3.Error) as error:
            reason = f"the demo's data cannot be opened: {error}"
            await send({"type": "lifespan.startup.failed", "message": reason})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.data(Ledger.close)
        self._ledger = None
        self._thread.shutdown(wait=True)
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = request_from(scope, receive)
            response = await _handler(request)(self, request)
        except ClientGone:
            return
        except HttpError as error:
            response = error.response()
        except (OSError, sqlite3.Error) as error:
            response = HttpError(503, "Service Unavailable", f"the data cannot be used: {error}").response()
        await send_response(send, response, head=scope["method"] == "HEAD")


async def _front(_demo: Demo, _request: Request) -> Response:
    return front_page()


async def _ready(demo: Demo, _request: Request) -> Response:
    await demo.data(Ledger.ping)
    return json_response({"status": "ready"})


async def _list_reports(demo: Demo, request: Request) -> Response:
    limit = int(_number(request.query.get("limit", "20"), "limit", 1, MAX_LISTED))
    return json_response({"reports": await demo.data(lambda ledger: ledger.reports(limit))})


async def _generate_report(demo: Demo, request: Request) -> Response:
    asked = await request.json_object()
    title, region, days = asked.get("title", "Sales"), asked.get("region"), asked.get("days", 30)
    if not isinstance(title, str) or not 0 < len(title) <= MAX_TITLE_CHARACTERS:
        raise _invalid(f"title must be text of 1 to {MAX_TITLE_CHARACTERS} characters")
    if region is not None and region not in REGIONS:
        raise _invalid(f"region must be one of {', '.join(REGIONS)}")
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= LEDGER_DAYS:
        raise _invalid(f"days must be a whole number from 1 to {LEDGER_DAYS}")
    report = await demo.data(lambda ledger: ledger.generate(title, region, days))
    return json_response(report, 201, (("location", f"/api/reports/{report['id']}"),))


async def _one_report(demo: Demo, request: Request) -> Response:
    wanted = request.path.removeprefix("/api/reports/")
    # SQLite's integers end at 2**63 - 1; 18 digits are always below that.
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) <= 18 else 0
    report = await demo.data(lambda ledger: ledger.report(number))
    if report is None:
        raise HttpError(404, "Not Found", f"there is no report {wanted!r}")
    return json_response(report)


async def _slow(_demo: Demo, request: Request) -> Response:
    seconds = _number(request.query.get("seconds", "1"), "seconds", 0, MAX_SLOW_SECONDS)
    await asyncio.sleep(seconds)
    return json_response({"slept_seconds": seconds})


async def _flaky(demo: Demo, _request: Request) -> Response:
    if await demo.data(lambda ledger: ledger.switch(FLAKY)):
        raise HttpError(500, "Internal Server Error", "switched to fail; POST /api/flaky?fail=false ends it")
    return json_response({"status": "ok"})


async def _set_flaky(demo: Demo, request: Request) -> Response:
    wanted = request.query.get("fail")
    if wanted not in ("true", "false"):
        raise _invalid("fail must be true or false")
    await demo.data(lambda ledger: ledger.set_switch(FLAKY, wanted == "true"))
    return json_response({"fail": wanted == "true"})


_ROUTES: dict[str, dict[str, Handler]] = {
    "/": {"GET": _front},
    "/ready": {"GET": _ready},
    "/api/reports": {"GET": _list_reports, "POST": _generate_report},
    "/api/slow": {"GET": _slow},
    "/api/flaky": {"GET": _flaky, "POST": _set_flaky},
}
_ONE_REPORT: dict[str, Handler] = {"GET": _one_report}


def _handler(request: Request) -> Handler:
    methods = _ROUTES.get(request.path)
    if methods is None and request.path.startswith("/api/reports/"):
        methods = _ONE_REPORT
    if methods is None:
        raise HttpError(404, "Not Found", f"there is nothing at {request.path}; GET / lists what is")
    handler = methods.get("GET" if request.method == "HEAD" else request.method)
    if handler is None:
        allowed = ", ".join([*methods, "HEAD"])
        raise HttpError(405, "Method Not Allowed", f"{request.path} takes {allowed}", (("allow", allowed),))
    return handler


def _invalid(detail: str) -> HttpError:
    return HttpError(422, "Unprocessable Content", detail)


def _number(text: str, name: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise _invalid(f"{name} must be a number from {least:g} to {most:g}")
    return value


# `oatie degrade reports --reason …` shows it: the list stays readable, what needs the data is refused.
degradation_manager.register_degradation_rule(
    "reports",
    {
        "routes": ["/api/reports*"],
        "degraded_responses": {
            "GET /api/reports": {"reports": [], "message": "Report service degraded"},
        },
    },
)

app: Callable[[Scope, Receive, Send], Awaitable[Any]] = Demo()
