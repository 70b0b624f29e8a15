"""Recovery in a running supervisor: looks when health changes, lets one try happen at a time, tells of it.

What is due is decided by `ladder_decide`, carried out by `ladder_climber`; here is only what ties them to
the check loop, the journal, the alerts and the operator.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from oatie_ops.config.settings import Settings
from oatie_ops.errors import Locked
from oatie_ops.health.exposition import Page
from oatie_ops.health.model import Clock, system_clock
from oatie_ops.recovery.ladder import Ladder, Rung, ladders, parents_of
from oatie_ops.recovery.ladder_climber import Climber, Emit
from oatie_ops.recovery.ladder_decide import (
    LOOK_SECONDS,
    Choice,
    Watch,
    choose,
    fail_together,
    tried_under_brake,
)
from oatie_ops.recovery.ladder_errors import ladder_of
from oatie_ops.recovery.ladder_incidents import Incidents
from oatie_ops.recovery.ladder_lock import recovery_lock
from oatie_ops.recovery.ladder_manual import climb
from oatie_ops.recovery.ladder_seen import see
from oatie_ops.recovery.ladder_state import Phase, Progress, begin, end, from_json, manual, to_json

AUTO = "auto"

log = logging.getLogger(__name__)


class Recovery:
    """Belongs to the supervisor's event loop. ``tell`` pages (service, text) on every channel there is.

    ``busy``: something else is going on, in which this rung must not be begun by itself.
    """

    def __init__(
        self,
        settings: Settings,
        lock: Path,
        climber: Climber,
        tell: Callable[[str, str], None],
        *,
        on_engine: bool = False,
        busy: Callable[[Rung], bool] = lambda _rung: False,
        clock: Clock = system_clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.ladders: Mapping[str, Ladder] = ladders(settings, on_engine=on_engine)
        self._declared = {name: ladder for name, ladder in self.ladders.items() if ladder.declared}
        self._parents = parents_of(settings)
        self._lock, self._climber, self._tell = lock, climber, tell
        self._busy, self._clock, self._chance = busy, clock, chance
        self._watch = Watch()
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._incidents = Incidents(dict(self.ladders), climber, clock)

    @property
    def wanted(self) -> bool:
        """Is there anything to watch?"""
        return bool(self._declared)

    def families(self, page: Page) -> Iterator[str]:
        """For the page of metrics."""
        return self._incidents.meter.families(page, self._watch, self._incidents.acting)

    def progress(self, service: str) -> Progress:
        return self._watch.services.get(service, Progress())

    def look_soon(self) -> None:
        """A service got another status. From the loop's thread only."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self._recall()
        while True:
            try:
                wait = await self._step()
            except Exception:
                # The checks beside it, and the next failure, must not pay for a defect here.
                log.exception("deciding about recoveries failed; trying on")
                wait = LOOK_SECONDS
            if wait != 0.0:
                await self._pause(wait)

    def close(self) -> None:
        """After everything else of the supervisor has ended."""
        self._incidents.close()

    async def _step(self) -> float | None:
        """One look, and one try where one is due. Seconds to wait; None: until something changes."""
        async with self._turn:
            choice = await self._look()
            if choice.service is None:
                return choice.wait_seconds
            if self._busy(self._next_rung(choice.service)):
                return LOOK_SECONDS
            return await self._try_alone(choice.service)

    async def recover(
        self, service: str, *, from_rung: int, actor: str, reason: str, emit: Emit
    ) -> dict[str, Any]:
        """Because somebody wants it: whatever holds the usual repair back, and with a whole budget after it.

        Returns (and emits) the ``result`` event. Raises `NoLadder`, or `Locked`.
        """
        return await self._climb(
            service, ladder_of(service, self.ladders).rungs[from_rung - 1 :], actor, reason, emit
        )

    async def restart(
        self, service: str, rung: Rung, *, actor: str, reason: str, emit: Emit
    ) -> dict[str, Any]:
        """That one rung alone. As `recover`."""
        return await self._climb(service, (rung,), actor, reason, emit)

    # --- by itself --------------------------------------------------------------------------------------

    async def _look(self) -> Choice:
        now = self._clock().monotonic_seconds
        seen = see(self._climber.snapshot())
        braked = self._watch.brake.on
        choice = choose(self._declared, self._parents, self._watch, seen, now)
        self._watch = choice.watch
        for name in choice.recovered:
            await self._incidents.end(name, "by_itself", f"{name} is well again between two tries")
        for name in choice.gave_up:
            await self._gave_up(name, "its repairs do not last")
        for name, entry in seen.items():
            if entry.well and await self._incidents.degraded.give_back(name):
                await self._save(name)
        if self._watch.brake.on and not braked:
            failing = ", ".join(fail_together(seen))
            text = f"{failing} fail together: nothing is restarted, but for one try now and then"
            await self._incidents.event("*", text, braked=True)
        return choice

    async def _try_alone(self, name: str) -> float:
        """Seconds to wait before the next look."""
        try:
            with recovery_lock(self._lock):
                await self._try(name)
        except Locked:
            return LOOK_SECONDS  # somebody recovers something without us
        return 0.0

    async def _try(self, name: str) -> None:
        ladder, before = self._declared[name], self.progress(name)
        rung, attempt = self._next_rung(name), before.used + 1
        self._put(name, begin(ladder, before))
        await self._incidents.begin(name, AUTO, AUTO, "")
        # Counted before it happens: a supervisor that dies in the middle does not try it once more for free.
        await self._save(name)
        tried = await self._incidents.attempt(name, rung, attempt, AUTO, lambda _event: None)
        now = self._clock().monotonic_seconds
        after = end(ladder, self.progress(name), proven=tried.proof.proven, now=now, chance=self._chance())
        brake = tried_under_brake(self._watch.brake, proven=tried.proof.proven, now=now)
        self._watch = Watch({**self._watch.services, name: after}, brake)
        if tried.proof.proven:
            await self._incidents.end(
                name, "proven", f"{name} is well again after {rung.name}: {tried.proof.output}"
            )
        elif after.phase is Phase.GAVE_UP and after.rung == 0 and after.used == 0:
            if before.phase is Phase.GAVE_UP:
                await self._incidents.end(
                    name, "gave_up", f"{name} still fails after every rung: {tried.proof.output}"
                )
            else:
                await self._gave_up(name, tried.proof.output)
        await self._save(name)

    async def _gave_up(self, name: str, why: str) -> None:
        wait = self.progress(name).due_at - self._clock().monotonic_seconds
        text = f"recovery gave up: {why}; tried again in {max(0.0, wait) / 60:.0f} min"
        await self._incidents.end(name, "gave_up", f"{name}: {text}")
        self._tell(name, text)

    # --- because somebody wants it ----------------------------------------------------------------------

    async def _climb(
        self, name: str, rungs: Iterable[Rung], actor: str, reason: str, emit: Emit
    ) -> dict[str, Any]:
        if acting := self._incidents.acting:
            emit({"event": "waiting", "service": name, "for": acting})
        async with self._turn:
            with recovery_lock(self._lock):
                await self._incidents.end(name, "replaced", f"{name}: {actor} takes over", quiet=True)
                await self._incidents.begin(name, "manual", actor, reason)
                result = await climb(
                    name, rungs, lambda rung, n: self._incidents.attempt(name, rung, n, actor, emit)
                )
            proven = result["status"] == "proven"
            if name in self._declared:
                now = self._clock().monotonic_seconds
                self._put(name, manual(proven=proven, now=now, chance=self._chance()))
            text = f"{name} is well again" if proven else f"{name} was not recovered"
            await self._incidents.end(name, "proven" if proven else "gave_up", f"{text} ({actor})")
            if name in self._declared:
                await self._save(name)
            emit(result)
        self.look_soon()
        return result

    # --- both -------------------------------------------------------------------------------------------

    def _next_rung(self, name: str) -> Rung:
        return self._declared[name].rungs[self.progress(name).rung]

    def _put(self, name: str, progress: Progress) -> None:
        self._watch = Watch({**self._watch.services, name: progress}, self._watch.brake)

    async def _save(self, name: str) -> None:
        now = self._clock()
        data = to_json(self.progress(name), now.monotonic_seconds, now.epoch_seconds)
        data["degraded"] = self._incidents.degraded.of(name)
        await self._climber.journal.save({name: data})

    async def _recall(self) -> None:
        saved, unfinished = await self._climber.journal.recall()
        now = self._clock()
        for name, data in saved.items():
            ladder = self._declared.get(name)
            if ladder is None:
                continue
            try:
                known = from_json(ladder, data, now.monotonic_seconds, now.epoch_seconds)
            except (KeyError, ValueError, TypeError):
                log.warning("what was remembered of the recovery of %s cannot be read", name)
                continue
            self._put(name, known)
            self._incidents.degraded.add(name, data.get("degraded", ()))
            if known.phase is not Phase.WELL:
                await self._incidents.degraded.again(name, f"{name} was failing before the supervisor began")
        for row in unfinished:
            await self._incidents.event(
                row.service,
                f"{row.service}: its recovery was cut off with the supervisor; it goes on from there",
                outcome="interrupted",
            )

    async def _pause(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()
