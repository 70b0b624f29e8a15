"""New workers of the release that serves already, step by step, with what happens told on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from oatie_ops.config.settings import Settings
from oatie_ops.errors import OatieError
from oatie_ops.supervisor.logs import LogSink
from oatie_ops.supervisor.progress import Emit, step
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.switch import Switch


async def carry_out(switch: Switch, sink: LogSink, emit: Emit) -> dict[str, Any]:
    """Spawn, gate, promote, drain, commit. The ``result`` event, also of a failure; the caller closes."""
    release, began = switch.candidate.spec.name, time.monotonic()
    try:
        pids = await switch.spawn()
        emit(step("spawn", f"{len(pids)} new workers boot; waiting until they are ready", workers=pids))
        seconds = await switch.gate(lambda _worker, _seconds, _why: None)
        emit(step("gate", f"every new worker is ready, after {seconds:.1f} s", seconds=round(seconds, 3)))
        cutover_ms = await switch.promote()
        said = "the new workers serve; waiting for old connections to leave"
        if switch.candidate.owns_port:
            said = f"the program was restarted on its port; nothing answered for {cutover_ms:.0f} ms"
        emit(step("promote", said, cutover_ms=round(cutover_ms, 1)))
        drained = await switch.drain(lambda _connections, _in_flight: None)
        left = "every connection left by itself" if drained else "the drain time is over: the rest is cut"
        emit(step("drain", left, complete=drained))
        await switch.commit()
    except OatieError as error:
        sink.note(f"reload refused: {error.why or error.what}")
        return {"event": "result", "status": "failed", "release": release, "error": error.as_dict()}
    took_seconds = round(time.monotonic() - began, 3)
    sink.note(f"reloaded in {took_seconds:.2f} s")
    gap = {"gap_ms": round(cutover_ms)} if switch.candidate.owns_port else {}
    return {"event": "result", "status": "reloaded", "release": release, "seconds": took_seconds, **gap}


async def with_todays_secrets(spec: ReleaseSpec, settings: Settings) -> ReleaseSpec:
    """A stored release names its secrets; their values may have been rotated since it started."""
    if not spec.app.stored:
        return spec
    from oatie_ops.secrets.rotation import refreshed

    return replace(spec, app=await asyncio.to_thread(refreshed, spec.app, settings))


class Coalesced:
    """Any number of calls while one run is under way make one more run."""

    def __init__(self, run: Callable[[str], Awaitable[None]]) -> None:
        self._run = run
        self._again = False
        self._task: asyncio.Task[None] | None = None

    def ask(self, actor: str) -> None:
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run_until_done(actor))

    async def _run_until_done(self, actor: str) -> None:
        while self._again:
            self._again = False
            await self._run(actor)
