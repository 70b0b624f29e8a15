"""The owner's Unix socket: what only the owner may ask, as HTTP with JSON lines for what takes long."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from oatie_ops.errors import OatieError, UsageError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.identity import pid_namespace
from oatie_ops.redaction import learn, redact
from oatie_ops.supervisor.adopt import adopt, prepare
from oatie_ops.supervisor.progress import Emit
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.supervisor import Supervisor
from oatie_ops.supervisor.switch import Switch
from oatie_ops.supervisor.workers import Worker

TICK_SECONDS = 0.25
PROGRESS_SECONDS = 0.1


def control_app(supervisor: Supervisor, ops_app: Any) -> Starlette:
    """``ops_app`` answers everything that is not ``/control``, so that the CLI has one address for all."""
    orders = _Orders(supervisor)
    routes = [
        Route("/control/status", orders.status),
        Route("/control/stop", orders.stop, methods=["POST"]),
        Route("/control/reload", orders.reload, methods=["POST"]),
        Route("/control/scale", orders.scale, methods=["POST"]),
        Route("/control/autoscale", orders.autoscale, methods=["POST"]),
        Route("/control/scaling", orders.scaling),
        Route("/control/switch", orders.open_switch, methods=["POST"]),
        Route("/control/switch/{switch}/{verb}", _SwitchVerbs(supervisor).answer, methods=["POST"]),
        Mount("/", app=ops_app),
    ]
    return Starlette(routes=routes, exception_handlers={OatieError: _error, Exception: orders.unexpected})


class _Orders:
    """One method per path of ``/control``."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def status(self, _request: Request) -> Response:
        return JSONResponse(self._supervisor.status())

    async def stop(self, request: Request) -> Response:
        body = await _body(request)
        given = body.get("timeout_seconds")
        patience_seconds = self._supervisor.stop(
            quick=bool(body.get("quick", False)),
            drain_seconds=None if given is None else float(given),
        )
        here = pid_namespace()
        return JSONResponse({"stopping": True, "deadline_seconds": patience_seconds, "pid_namespace": here})

    async def reload(self, request: Request) -> Response:
        actor = _actor(await _body(request))
        return _every_event(lambda emit: self._supervisor.reload(actor, emit))

    async def scale(self, request: Request) -> Response:
        body = await _body(request)
        workers, actor = body.get("workers"), _actor(body)
        if not (workers is None or (type(workers) is int and workers >= 1)):
            raise UsageError("workers is a whole number above 0, or null for what is declared")
        return _every_event(lambda emit: self._supervisor.scale(workers, actor, emit))

    async def autoscale(self, request: Request) -> Response:
        body = await _body(request)
        least, most = int(body.get("min", 1)), int(body.get("max", 1))
        if not 1 <= least <= most:
            raise UsageError("the bounds are min and max, and 1 <= min <= max")
        self._supervisor.scaling.set_auto(bool(body.get("auto")), least, most, _actor(body))
        return JSONResponse(self._supervisor.scaling.status())

    async def scaling(self, _request: Request) -> Response:
        return JSONResponse(self._supervisor.scaling.status())

    async def open_switch(self, request: Request) -> Response:
        body = await _body(request)
        learn(base64.b64decode(value) for value in body.get("secrets", ()))
        switch = self._supervisor.open_switch(
            ReleaseSpec.from_dict(body["release"]), health_check=bool(body.get("health_check", True))
        )
        self._supervisor.machinery.sink.note(
            f"switch to release {switch.candidate.spec.name} opened by {body.get('actor', 'unknown')}"
        )
        switch.declared = body.get("declared")
        return _lines(_lease(self._supervisor, switch, request))

    async def unexpected(self, _request: Request, error: Exception) -> Response:
        text = "".join(traceback.format_exception(error))
        self._supervisor.machinery.sink.note(f"internal error: {text}")
        told = OatieError(
            "the supervisor could not do that",
            why=f"{type(error).__name__}: {error}",
            fix="`oatie logs` has the whole story; it serves on",
        )
        return JSONResponse({"error": told.as_dict()}, status_code=500)


class _SwitchVerbs:
    """One method per verb of a switch session."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def answer(self, request: Request) -> Response:
        switch = self._supervisor.find_switch(request.path_params["switch"])
        verbs: dict[str, Callable[[Switch, dict[str, Any]], Awaitable[Response]]] = {
            "spawn": self._spawn,
            "gate": self._gate,
            "promote": self._promote,
            "drain": self._drain,
            "bake": self._bake,
            "commit": self._commit,
            "abort": self._abort,
        }
        verb = verbs.get(request.path_params["verb"])
        if verb is None:
            raise OatieError(f"unknown verb {request.path_params['verb']!r}", exit_code=ExitCode.USAGE)
        return await verb(switch, await _body(request))

    async def _spawn(self, switch: Switch, _body: dict[str, Any]) -> Response:
        return JSONResponse({"workers": [{"pid": pid} for pid in await switch.spawn()]})

    async def _gate(self, switch: Switch, _body: dict[str, Any]) -> Response:
        async def work(emit: Emit) -> dict[str, Any]:
            def waiting(worker: Worker, seconds: float, why: str) -> None:
                facts = {"worker": worker.id, "seconds": round(seconds, 2), "why": redact(why)}
                emit({"event": "waiting", **facts})

            return {"event": "passed", "seconds": round(await switch.gate(waiting), 3)}

        return _progress(work)

    async def _promote(self, switch: Switch, _body: dict[str, Any]) -> Response:
        return JSONResponse({"cutover_ms": round(await switch.promote(), 2)})

    async def _drain(self, switch: Switch, _body: dict[str, Any]) -> Response:
        async def work(emit: Emit) -> dict[str, Any]:
            def draining(connections: int, in_flight: int) -> None:
                emit({"event": "draining", "connections": connections, "in_flight": in_flight})

            return {"event": "drained", "complete": await switch.drain(draining)}

        return _progress(work)

    async def _bake(self, switch: Switch, body: dict[str, Any]) -> Response:
        async def work(emit: Emit) -> dict[str, Any]:
            def baking(left_seconds: float) -> None:
                emit({"event": "baking", "left_seconds": round(left_seconds, 1)})

            ratio = body.get("max_error_ratio")
            await switch.bake(
                float(body.get("seconds", 0.0)), baking, None if ratio is None else float(ratio)
            )
            return {"event": "passed"}

        return _progress(work)

    async def _commit(self, switch: Switch, _body: dict[str, Any]) -> Response:
        await switch.commit()
        self._supervisor.announce_ready()
        told = () if switch.declared is None else await adopt(self._supervisor, switch.declared)
        return JSONResponse({"serving": switch.candidate.spec.name, "told": told})

    async def _abort(self, switch: Switch, _body: dict[str, Any]) -> Response:
        await switch.abort()
        generation = self._supervisor.fleet.generation
        return JSONResponse({"serving": generation.spec.name if generation else None})


async def _lease(supervisor: Supervisor, switch: Switch, request: Request) -> AsyncIterator[dict[str, Any]]:
    """Held open by the deploying process. Whatever ends it (kill -9 too) undoes an uncommitted switch."""
    try:
        if switch.declared is not None:
            await prepare(supervisor, switch.declared)
        yield {"event": "opened", "switch": switch.id}
        while not await request.is_disconnected():
            yield {"event": "tick"}
            await asyncio.sleep(TICK_SECONDS)
    finally:
        await asyncio.shield(supervisor.close_switch(switch))


def _progress(work: Callable[[Emit], Awaitable[dict[str, Any]]]) -> StreamingResponse:
    """Runs ``work`` and sends the newest of its reports at most every tenth of a second, then its result."""

    async def events() -> AsyncIterator[dict[str, Any]]:
        newest: list[dict[str, Any]] = []
        task = asyncio.ensure_future(work(lambda event: newest.__setitem__(slice(None), [event])))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=PROGRESS_SECONDS)
                if newest and not task.done():
                    yield newest.pop()
            yield task.result()
        except OatieError as error:
            yield {"event": "failed", "error": error.as_dict()}
        finally:
            task.cancel()

    return _lines(events())


def _every_event(work: Callable[[Emit], Awaitable[Any]]) -> StreamingResponse:
    """Sends all reports of ``work``, which goes on to its end even if nobody listens any more."""
    queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def run() -> None:
        try:
            await work(queue.put_nowait)
        except OatieError as error:
            queue.put_nowait({"event": "result", "status": "failed", "error": error.as_dict()})
        finally:
            queue.put_nowait(None)

    async def events() -> AsyncIterator[dict[str, Any]]:
        task = asyncio.ensure_future(run())
        while (event := await queue.get()) is not None:
            yield event
        await task

    return _lines(events())


def _lines(events: AsyncIterator[dict[str, Any]]) -> StreamingResponse:
    async def encoded() -> AsyncIterator[bytes]:
        async for event in events:
            yield json.dumps(event).encode() + b"\n"

    return StreamingResponse(encoded(), media_type="application/jsonl")


def _actor(body: dict[str, Any]) -> str:
    return str(body.get("actor", "control socket"))


async def _body(request: Request) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        data = json.loads(await request.body() or b"{}")
        if isinstance(data, dict):
            return data
    raise OatieError("the body is not a JSON object", exit_code=ExitCode.USAGE)


async def _error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, OatieError)
    status = 409 if error.exit_code == ExitCode.LOCKED else 422
    return JSONResponse({"error": error.as_dict()}, status_code=status)
