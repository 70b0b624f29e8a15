"""The supervisor's part: makes decisions, lets workers obey at once, decides what is automatic."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from oatie_ops.degradation import automatic
from oatie_ops.degradation.automatic import Key
from oatie_ops.degradation.bulletin import Bulletin
from oatie_ops.degradation.decider import Decider
from oatie_ops.degradation.decision import DEFAULT_SECONDS, FULL, Decision, Now, effective
from oatie_ops.degradation.desk import Desk, Published
from oatie_ops.degradation.edit import Edit, Ended, Ending
from oatie_ops.errors import OatieError
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.threads import CheckThreads, StillHanging
from oatie_ops.supervised import SupervisorView

# What another process decided is seen after this time; ends that are due are waited for exactly.
LOOK_SECONDS = 1.0
SHORTEST_SECONDS = 0.005
DESK_SECONDS = 5.0
OBEY_SECONDS = 2.0
POLL_SECONDS = 0.0003
# The owner of what follows from a failing service.
BY_CAUSE = "breaker"

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Obeyed:
    """How many of the serving workers act on it, and after how long the last of them did."""

    workers: int
    obeying: int
    seconds: float | None

    def to_dict(self) -> dict[str, Any]:
        seconds = None if self.seconds is None else round(self.seconds, 6)
        return {"workers": self.workers, "obeying": self.obeying, "seconds": seconds}


@dataclass(frozen=True)
class Done:
    published: Published
    obeyed: Obeyed
    now: Now


class Conductor:
    """Lives in the supervisor's event loop, which it never blocks. ``decider`` does what is automatic."""

    def __init__(
        self,
        view: SupervisorView,
        decider: Decider,
        *,
        desk: Desk | None = None,
    ) -> None:
        self._view = view
        self._decider = decider
        self._desk = desk or Desk(view.paths)
        self._threads = CheckThreads(limit=1)
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._known = self._desk.read()
        self._changes = -1
        self._ended: dict[Key, Ended] = {}
        self.on_change: Callable[[], None] = lambda: None

    # --- what others see ----------------------------------------------------------------------------------

    @property
    def known(self) -> Bulletin:
        """What was in force when it was looked at last; never waits."""
        return self._known

    def now(self) -> Now:
        return self._desk.now()

    def counting(self) -> dict[str, Decision]:
        """By service, the decision that counts at this moment."""
        return effective(self._known.decisions, self.now())

    def look_soon(self) -> None:
        self._wake.set()

    # --- acts ---------------------------------------------------------------------------------------------

    async def degrade(
        self,
        service: str,
        *,
        reason: str,
        actor: str,
        origin: str,
        level: int = FULL,
        seconds: float | None = DEFAULT_SECONDS,
    ) -> Done:
        """An operator's decision; ``seconds`` None: until it is restored. Raises `OatieError`."""
        now = self.now()
        wanted = Decision(
            service=service,
            owner="operator",
            level=level,
            reason=reason,
            actor=actor,
            origin=origin,
            started_at=now.epoch_seconds,
            until=None if seconds is None else now.epoch_seconds + seconds,
            deadline=None if seconds is None else now.monotonic_seconds + seconds,
            boot_id=now.boot_id,
        )
        return await self._change(lambda: self._desk.decide(wanted))

    async def restore(self, service: str, *, actor: str, origin: str, reason: str = "") -> Done:
        """An operator's word, too. Raises `OatieError`."""
        return await self._change(lambda: self._desk.restore(service, actor, origin, reason))

    async def hold(self, service: str, cause: str, reason: str) -> Done:
        """A decision of a machine that lasts until `let_go`; without this process it ends after a lease.

        Where an operator has restored the service meanwhile, that stays so. Raises `OatieError`.
        """
        key = (service, BY_CAUSE, cause)
        self._decider.held.add(key)
        return await self.decide(automatic.decision(key, reason, FULL, self.now()))

    async def let_go(self, service: str, cause: str) -> None:
        """Ends what `hold` began; harmless where it is over. Raises `OatieError`."""
        key = (service, BY_CAUSE, cause)
        self._decider.held.discard(key)
        await self.withdraw([key])

    # --- other hosts --------------------------------------------------------------------------------------

    def ended_lately(self) -> list[Ended]:
        """Here, the newest for each key."""
        return list(self._ended.values())

    async def apply_from_others(self, added: Sequence[Decision], ended: Sequence[Ending]) -> None:
        """Raises `OatieError`."""

        def plan(active: Sequence[Decision], now: Now) -> Edit:
            keys = {each.key for each in active}
            return Edit(
                added=tuple(each for each in added if not each.over(now)),
                ended=tuple(each for each in ended if each.decision.key in keys),
            )

        await self._change(lambda: self._desk.change(plan))

    async def mark_stale(self, why: str) -> None:
        """``why`` the others are not heard of; "" when they are again."""
        if self._known.stale == why:
            return
        self._known = self._known.with_(stale=why)
        try:
            async with self._turn:
                await self._in_thread(lambda: self._desk.mark_stale(why))
        except OatieError as error:
            log.warning("switches: %s: %s", error.what, error.why)

    async def _change(self, work: Callable[[], Published]) -> Done:
        async with self._turn:
            published = await self._in_thread(work)
        self._take(published)
        return Done(published, await self.obeyed(published), self.now())

    async def obeyed(self, published: Published) -> Obeyed:
        """Tells the workers and waits until they act on it, for `OBEY_SECONDS` at most."""
        places = self._view.look_at_switches()
        deadline = time.monotonic() + OBEY_SECONDS
        while True:
            now = time.monotonic()
            obeying = sum(self._desk.obeys(place, pid) for pid, place in places.items())
            if obeying == len(places) or now >= deadline:
                seconds = max(0.0, now - published.at) if places and obeying == len(places) else None
                return Obeyed(len(places), obeying, seconds)
            await asyncio.sleep(POLL_SECONDS)

    # --- by itself ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._look()
                await self._decider.look(self)
                pause = self._pause_seconds()
            except OatieError as error:
                log.warning("switches: %s: %s", error.what, error.why)
                pause = LOOK_SECONDS
            except Exception:
                log.exception("switches could not be looked after")
                pause = LOOK_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()

    def _pause_seconds(self) -> float:
        """Until the next end of a decision, if that is sooner."""
        now = self.now()
        lefts = [left for each in self._known.decisions if (left := each.left_seconds(now)) is not None]
        return max(SHORTEST_SECONDS, min([LOOK_SECONDS, *lefts]))

    async def _look(self) -> None:
        """Takes notice of what others decided, and of what is over. Costs a comparison most of the time."""
        now = self.now()
        changes = self._desk.page.changes
        due = any(each.over(now) for each in self._known.decisions)
        if changes == self._changes and not due and not self._known.pending:
            return
        async with self._turn:
            published = await self._in_thread(self._desk.refresh)
            past = await self._in_thread(self._desk.past)
        self._ended |= {each.decision.key: each for each in past}
        before = self._known
        self._take(published)
        if published.bulletin.decisions != before.decisions:
            self._view.look_at_switches()

    async def withdraw(self, keys: Collection[Key]) -> None:
        """Of automatic owners, whose cause is over. Raises `OatieError`."""
        await self._change(lambda: self._desk.withdraw(sorted(keys), "recovered", "oatie"))

    async def decide(self, wanted: Decision) -> Done:
        """Raises `OatieError`."""
        return await self._change(lambda: self._desk.decide(wanted))

    def _take(self, published: Published) -> None:
        self._known, self._changes = published.bulletin, published.changes
        for ending in published.edit.ended:
            if ending.how != "replaced":
                ended = Ended(ending.decision, self.now().epoch_seconds, ending.how, ending.by)
                self._ended[ending.decision.key] = ended
        self.on_change()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(DESK_SECONDS):
                return await self._threads.call("switches", work, Attempt())
        except (TimeoutError, StillHanging) as error:
            raise OatieError(
                "the switches could not be changed",
                why=str(error) or f"the disk did not answer within {DESK_SECONDS:g} s",
                fix="look at the disk that holds the state directory, then try again",
            ) from error
