"""Gathers what a frame is made of. What is on the disk is read in a thread, at most every few seconds, and
never waited for long: while the store hangs, the page says so and shows the rest.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oatie_ops._version import __version__
from oatie_ops.api.context import OpsContext
from oatie_ops.api.dashboard import readings, records
from oatie_ops.api.dashboard.changed import Changed
from oatie_ops.api.dashboard.frame import ACTIONS, NOT_ASKED, Part, Sources, unknown
from oatie_ops.api.recovery import restart_rung
from oatie_ops.api.scaling import advice_of
from oatie_ops.errors import OatieError
from oatie_ops.health.plan import APP

PATIENCE_SECONDS = 0.5
OPERATIONS_SHOWN, OPERATION_SECONDS = 4, 120.0

log = logging.getLogger(__name__)


@dataclass
class Reading:
    """One part that is read in a thread. ``every_seconds`` is how old it may be."""

    name: str
    every_seconds: float
    read: Callable[[], Awaitable[Part]]
    part: Part = field(default_factory=lambda: NOT_ASKED)
    task: asyncio.Future[Part] | None = None
    read_at: float = float("-inf")

    async def fresh(self) -> Part:
        """The newest part, or the one before where the new one takes too long."""
        if self.task is None and time.monotonic() - self.read_at >= self.every_seconds:
            self.task = asyncio.ensure_future(self._read())
        if self.task is not None:
            done, _ = await asyncio.wait({self.task}, timeout=PATIENCE_SECONDS)
            if done:
                part, self.task = self.task.result(), None
                # The same object where nothing is new: the next frame is then compared in no time.
                self.part = self.part if part == self.part else part
                self.read_at = time.monotonic()
            elif not self.part["known"]:
                return unknown(f"the store has not answered within {PATIENCE_SECONDS:g} s")
        return self.part

    async def _read(self) -> Part:
        try:
            return await self.read()
        except OatieError as error:
            return unknown(f"{error.what}: {error.why}" if error.why else error.what)
        except Exception as crash:
            log.exception("the dashboard's %s could not be read", self.name)
            return unknown(f"internal error: {type(crash).__name__}")


class Collector:
    """Belongs to the event loop. One for all readers."""

    def __init__(self, context: OpsContext) -> None:
        self._context = context
        database, home = context.view.paths.database, context.view.paths.home

        def from_disk(name: str, every_seconds: float, read: Callable[[], Part]) -> Reading:
            return Reading(name, every_seconds, lambda: asyncio.to_thread(read))

        def from_database(name: str, every_seconds: float, read: Callable[[Path], Part]) -> Reading:
            changed = Changed(database)

            async def when_changed() -> Part:
                if not changed.since_last():
                    return reading.part
                try:
                    return await asyncio.to_thread(read, database)
                except BaseException:
                    changed.forget()
                    raise

            reading = Reading(name, every_seconds, when_changed)
            return reading

        self._events = from_database("events", 1.0, records.events)
        self._releases = from_database("releases", 3.0, records.releases)
        self._recovery = from_disk("recovery", 2.0, lambda: records.recovery(database, self._ladders()))
        self._startup = from_disk("start-up", 20.0, lambda: records.startup(home, self._release()))
        self._history = from_disk("history", 5.0, lambda: readings.history(home))
        # A replay of a week of load takes a second of processor time.
        self._scaling = Reading("scaling", 300.0, self._advice)

    def standing(self) -> object:
        """What makes a reader look up, of all that a frame shows; compared once a second."""
        services = [
            (name, state.status, state.consequence_of, state.maintenance, state.degraded, state.flapping)
            for name, state in self._context.snapshot().services.items()
        ]
        return services, [(each.id, each.state) for each in self._context.operations.all()]

    async def sources(self) -> Sources:
        context = self._context
        readers = (self._events, self._releases, self._recovery, self._startup, self._history, self._scaling)
        parts = await asyncio.gather(*(reader.fresh() for reader in readers))
        events, releases, recovery, startup, history, scaling = parts
        measured = context.measured()
        return Sources(
            snapshot=context.snapshot(),
            now=context.clock(),
            version=__version__,
            running=context.view.status(),
            ledgers=context.ledgers(),
            can=self._can(),
            operations=self._operations(),
            resources=readings.resources(measured, history),
            traffic=readings.traffic(measured, history),
            events=events,
            releases=releases,
            startup=startup,
            scaling=scaling,
            recovery=recovery,
            degradation=self._degradation(),
        )

    async def _advice(self) -> Part:
        return readings.scaling(await advice_of(self._context))

    def _release(self) -> str | None:
        release = self._context.view.status().get("release")
        return None if release is None else str(release)

    def _ladders(self) -> Any:
        return {} if self._context.recovery is None else self._context.recovery.ladders

    def _degradation(self) -> Part:
        switches = self._context.switches
        if switches is None:
            return unknown("this process has no switches")
        from oatie_ops.degradation import status

        return {"known": True, "why": "", **status.status(switches.known, switches.now())}

    def _operations(self) -> list[dict[str, Any]]:
        """What is under way, and what ended a moment ago; the newest first."""
        now = time.time()
        found = [
            operation.as_dict()
            for operation in self._context.operations.all()
            if operation.ended_at is None or now - operation.ended_at < OPERATION_SECONDS
        ]
        return found[::-1][:OPERATIONS_SHOWN]

    def _can(self) -> dict[str, dict[str, str]]:
        context = self._context
        ladders = self._ladders()
        rules = {} if context.switches is None else context.switches.known.rules
        counting = {} if context.switches is None else context.switches.counting()
        found: dict[str, dict[str, str]] = {}
        for name in context.snapshot().services:
            ladder, decision = ladders.get(name), counting.get(name)
            degraded = bool(decision and decision.level)
            routed = bool(rules.get(name, {}).get("routes"))
            restarts = name == APP or restart_rung(ladder) is not None
            why = {
                "restart": "" if restarts else "nothing is declared that restarts it",
                "recover": "" if ladder is not None and ladder.declared else "no ladder is declared",
                "degrade": "it is degraded" if degraded else "" if routed else "it has no routes",
                "restore": "" if degraded else "it is not degraded",
            }
            found[name] = {action: why[action] for action in ACTIONS}
        return found
