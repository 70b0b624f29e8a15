"""The check loop of a running supervisor: every check on its own schedule, one snapshot for all readers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from oatie_ops.config.settings import Settings
from oatie_ops.health.board import Board, Change
from oatie_ops.health.checks import build
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, CheckState, Clock, Snapshot, system_clock
from oatie_ops.health.plan import NEEDS, plan
from oatie_ops.health.runner import run_check
from oatie_ops.health.schedule import first_delay_seconds, next_delay_seconds
from oatie_ops.health.threads import CheckThreads

log = logging.getLogger(__name__)

AppStatus = Callable[[], Mapping[str, Any]]


class HealthLoop:
    """Lives in the supervisor's event loop. `snapshot` costs nothing and may be read at any time.

    ``app_status`` gives the object of ``GET /control/status`` from memory. ``on_change`` is called, in the
    loop, with every change of a service's status; it must not block.
    """

    def __init__(
        self,
        settings: Settings,
        state_home: Path,
        app_status: AppStatus,
        *,
        on_change: Callable[[Change], None] | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._on_change = on_change
        self._clock = clock
        services = plan(settings, state_home, supervised=True)
        tools = Tools(settings, CheckThreads(), state_home, app_status)
        specs = [spec for service in services for spec in service.checks if spec.type != NEEDS]
        # Made here and not in the loop, because some of them import what takes a while.
        self._checks = [(spec, build(spec, tools)) for spec in specs]
        self._board = Board(services, clock())
        self._wake: dict[str, list[asyncio.Event]] = {}

    @property
    def snapshot(self) -> Snapshot:
        return self._board.snapshot

    def nudge(self, service: str) -> None:
        """Checks a service at once, because something happened to it. From the loop's thread only."""
        for event in self._wake.get(service, ()):
            event.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for spec, check in self._checks:
                wake = asyncio.Event()
                self._wake.setdefault(spec.service, []).append(wake)
                tasks.create_task(self._keep_checking(spec, check, wake), name=f"check {spec.key}")

    async def _keep_checking(self, spec: CheckSpec, check: Check, wake: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        delay = first_delay_seconds(spec, random.random(), len(self._checks))
        first = True
        while True:
            await _pause(delay, wake)
            began = loop.time()
            before = self._state(spec).status
            result = await run_check(check, spec, before)
            for change in self._board.record(spec, result, self._clock()):
                self._tell(change)
            if spec.type == "workers" and self._state(spec).status is not before:
                # Workers that came or went change what the other checks of the application find.
                self.nudge(spec.service)
            delay = next_delay_seconds(
                spec, self._state(spec), loop.time() - began, random.random(), first=first
            )
            first = False

    def _state(self, spec: CheckSpec) -> CheckState:
        service = self._board.snapshot.services[spec.service]
        return next(entry.state for entry in service.checks if entry.spec.key == spec.key)

    def _tell(self, change: Change) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(change)
        except Exception:
            # Whoever listens must not be able to stop the checks.
            log.exception("reporting that %s is now %s failed", change.service, change.after)


async def _pause(seconds: float, wake: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()
    wake.clear()
