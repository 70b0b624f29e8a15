"""Decides what is automatic: for services whose needs fail, and for those that overload may shed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

from oatie_ops.config.settings import ServiceSettings
from oatie_ops.degradation import automatic
from oatie_ops.degradation.automatic import Condition, Key, Overload, Pressure
from oatie_ops.degradation.bulletin import Bulletin
from oatie_ops.degradation.decision import FULL, Decision, Now

LOAD_SECONDS = 0.9  # a little less than the look that it is done with
BY_LOAD = "overload"
DEFAULT_LAG_SECONDS = 0.25


class Board(Protocol):
    """What `oatie_ops.degradation.conductor.Conductor` gives; the acts raise `OatieError`."""

    @property
    def known(self) -> Bulletin: ...

    def now(self) -> Now: ...

    async def decide(self, wanted: Decision) -> object: ...

    async def withdraw(self, keys: Collection[Key]) -> None: ...


class Decider:
    """``conditions`` is what health knows; ``load`` how late event loops are (seconds), and requests under
    way per worker; ``open_breakers`` names the services whose breakers are open in the workers.

    ``held``: decisions of others in this process that have to be renewed, too.
    """

    def __init__(
        self,
        services: Iterable[ServiceSettings],
        overload: Overload,
        conditions: Callable[[], Mapping[str, Condition]],
        load: Callable[[], tuple[float, float]] = lambda: (0.0, 0.0),
        open_breakers: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._services = list(services)
        self._overload = overload
        self._conditions = conditions
        self._load = load
        self._open_breakers = open_breakers
        self._order = automatic.classes(self._services)
        self._pressure = Pressure()
        self._load_at = 0.0
        self.held: set[Key] = set()

    async def look(self, board: Board) -> None:
        """Raises `OatieError`."""
        await self._by_needs(board)
        await self._by_load(board)

    async def _by_needs(self, board: Board) -> None:
        active, now = board.known.decisions, board.now()
        missing, over = automatic.for_needs(self._services, self._conditions(), self._open_breakers(), active)
        for key, reason in missing.items():
            await board.decide(automatic.decision(key, reason, FULL, now))
        for each in active:
            ours = (automatic.by_itself(each) or each.key in self.held) and not each.host
            left = each.left_seconds(now)
            if ours and each.key not in over and left is not None and left < automatic.RENEW_BELOW_SECONDS:
                await board.decide(automatic.decision(each.key, each.reason, FULL, now))
        if over:
            await board.withdraw(over)

    async def _by_load(self, board: Board) -> None:
        if not self._order or time.monotonic() < self._load_at:
            return
        self._load_at = time.monotonic() + LOAD_SECONDS
        reason = self._overload.reason(*self._load())
        self._pressure = self._pressure.next(bool(reason), FULL * len(self._order))
        active = {each.service: each for each in board.known.decisions if each.cause == BY_LOAD}
        over = []
        for service, level in automatic.levels(self._pressure.value, self._order).items():
            held = active.get(service)
            if level and (held is None or held.level != level):
                told = reason or (held.reason if held else "")
                key = (service, "load", BY_LOAD)
                await board.decide(automatic.decision(key, told, level, board.now()))
            elif not level and held is not None:
                over.append(held.key)
        if over:
            await board.withdraw(over)


def overload_of(declared: Mapping[str, Any]) -> Overload:
    """From ``[switches]``."""
    return Overload(
        lag_seconds=float(declared.get("overload_lag", DEFAULT_LAG_SECONDS)),
        in_flight=int(declared.get("overload_in_flight", 0)),
    )
