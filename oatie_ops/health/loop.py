"""The check loop of a running supervisor: every check on its own schedule, one snapshot for all readers."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from oatie_ops.config.settings import Settings
from oatie_ops.health.alarm import Alarm
from oatie_ops.health.board import Board, Change
from oatie_ops.health.checks import build
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.heartbeats import HEARTBEAT, Heartbeats
from oatie_ops.health.keeper import Keeper
from oatie_ops.health.memory import Memory
from oatie_ops.health.model import CheckSpec, CheckState, Clock, Result, Snapshot, Status, system_clock
from oatie_ops.health.plan import NEEDS, plan
from oatie_ops.health.runner import run_check
from oatie_ops.health.schedule import first_delay_seconds, next_delay_seconds
from oatie_ops.health.threads import CheckThreads

log = logging.getLogger(__name__)

AppStatus = Callable[[], Mapping[str, Any]]


class HealthLoop:
    """Lives in the supervisor's event loop. `snapshot` costs nothing and may be read at any time.

    ``app_status`` gives the object of ``GET /control/status`` from memory. ``on_change`` is called, in the
    loop, with every change of a service's status, ``on_result`` with every result and the seconds by which
    its check began late; neither may block. ``database`` None: nothing is remembered.
    """

    def __init__(
        self,
        settings: Settings,
        state_home: Path,
        app_status: AppStatus,
        *,
        on_change: Callable[[Change], None] | None = None,
        on_result: Callable[[CheckSpec, Result, float], None] | None = None,
        database: Path | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._on_change = on_change
        self._on_result = on_result
        self._clock = clock
        services = plan(settings, state_home, supervised=True, remembering=database is not None)
        self._beats = Heartbeats(clock)
        keeper = Keeper(database) if database else None
        tools = Tools(
            settings,
            CheckThreads(),
            state_home,
            app_status,
            beats=self._beats,
            store_problem=(lambda: keeper.problem) if keeper else None,
        )
        specs = [spec for service in services for spec in service.checks if spec.type != NEEDS]
        # Made here and not in the loop, because some of them import what takes a while.
        self._checks = [(spec, build(spec, tools)) for spec in specs]
        self._board = Board(services, clock())
        self._memory = Memory(self._board, self._beats, keeper, clock)
        self._alarms: dict[str, list[Alarm]] = {}
        self._asked: dict[tuple[str, str], list[asyncio.Future[Result]]] = {}
        self.in_flight = 0

    @property
    def snapshot(self) -> Snapshot:
        return self._board.snapshot

    def uptime_buckets(self) -> Mapping[str, Any]:
        """See `Board.uptime_buckets`. From the loop's thread only."""
        return self._board.uptime_buckets()

    def nudge(self, service: str) -> None:
        """Checks a service at once, because something happened to it. From the loop's thread only."""
        for alarm in self._alarms.get(service, ()):
            alarm.ring()

    async def look(self, service: str) -> list[tuple[CheckSpec, Result]]:
        """One result of each check of a service, none of which began before this call.

        From the loop's thread. Nothing comes where the checks do not run; the caller has a deadline.
        """
        specs = [spec for spec, _ in self._checks if spec.service == service]
        futures: list[asyncio.Future[Result]] = []
        for spec in specs:
            future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
            self._asked.setdefault(spec.key, []).append(future)
            futures.append(future)
        self.nudge(service)
        return list(zip(specs, await asyncio.gather(*futures), strict=True))

    def beat(self, service: str, status: Status = Status.PASS, output: str = "") -> bool:
        """A service calls in. False where it has no check of type ``heartbeat``. From the loop's thread."""
        known = any(spec.service == service and spec.type == HEARTBEAT for spec, _ in self._checks)
        if known:
            self._beats.beat(service, status, output)
            self.nudge(service)
        return known

    def look_soon(self) -> None:
        """Somebody has just set or cleared a maintenance window. From the loop's thread only."""
        self._memory.look_soon()

    async def run(self) -> None:
        """Until cancelled."""
        await self._memory.recall()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._memory.run(), name="health memory")
                for spec, check in self._checks:
                    alarm = Alarm()
                    self._alarms.setdefault(spec.service, []).append(alarm)
                    tasks.create_task(self._keep_checking(spec, check, alarm), name=f"check {spec.key}")
        finally:
            self._memory.close()

    async def _keep_checking(self, spec: CheckSpec, check: Check, alarm: Alarm) -> None:
        loop = asyncio.get_running_loop()
        delay = first_delay_seconds(spec, random.random(), len(self._checks))
        first = True
        while True:
            due = loop.time() + delay
            await alarm.pause(delay)
            began = loop.time()
            before = self._state(spec)
            asked = self._asked.pop(spec.key, [])
            self.in_flight += 1
            try:
                result = await run_check(check, spec, before.status)
            finally:
                self.in_flight -= 1
            self._take(spec, before, result, max(0.0, began - due))
            for future in asked:
                if not future.done():
                    future.set_result(result)
            delay = next_delay_seconds(
                spec, self._state(spec), loop.time() - began, random.random(), first=first
            )
            first = False

    def _take(self, spec: CheckSpec, before: CheckState, result: Result, late_seconds: float) -> None:
        if self._on_result is not None:
            self._report(partial(self._on_result, spec, result, late_seconds), f"a result of {spec.key}")
        changes = self._board.record(spec, result, self._clock())
        for change in changes:
            self._memory.add(change.service)
            if self._on_change is not None:
                what = f"that {change.service} is now {change.after}"
                self._report(partial(self._on_change, change), what)
        if spec.type == "workers" and self._state(spec).status is not before.status:
            # Workers that came or went change what the other checks of the application find.
            self.nudge(spec.service)
        if result.status is Status.FAIL and before.fails == 0:
            # If a failed parent is the reason, it is better known before this child is called failed.
            for parent in self._board.snapshot.services[spec.service].needs:
                self.nudge(parent)

    def _state(self, spec: CheckSpec) -> CheckState:
        service = self._board.snapshot.services[spec.service]
        return next(entry.state for entry in service.checks if entry.spec.key == spec.key)

    @staticmethod
    def _report(tell: Callable[[], None], what: str) -> None:
        try:
            tell()
        except Exception:
            # Whoever listens must not be able to stop the checks.
            log.exception("reporting %s failed", what)
