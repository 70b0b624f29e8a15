"""``with breaker.guard():`` and ``async with breaker.guard():``: a block of code as one call."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from types import TracebackType

from oatie_ops.recovery.breaker import outcome
from oatie_ops.recovery.breaker.calls import in_asyncio, overdue
from oatie_ops.recovery.breaker.config import Outcome
from oatie_ops.recovery.breaker.core import Core
from oatie_ops.recovery.breaker.gate import Permit


class Guard:
    """For one block. It knows under which circuit it was entered, whatever runs beside it."""

    __slots__ = ("_breaker", "_limit", "_permit")

    def __init__(self, breaker: Core) -> None:
        self._breaker = breaker
        self._permit: Permit | int
        self._limit: asyncio.Timeout | None = None

    def __enter__(self) -> Guard:
        breaker = self._breaker
        word = breaker.words[0]
        self._permit = word if word == breaker.quick else breaker.admit()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended(self._breaker, self._permit, error)

    async def __aenter__(self) -> Guard:
        self.__enter__()
        if self._breaker.config.timeout is not None and in_asyncio():
            self._limit = asyncio.timeout(self._breaker.deadline)
            await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        breaker = self._breaker
        if self._limit is not None:
            try:
                await self._limit.__aexit__(kind, error, trace)
            except TimeoutError:
                late = overdue(breaker)
                permit = self._permit
                if isinstance(permit, Permit):
                    breaker.settle(permit, Outcome.FAILURE, late)
                else:
                    breaker.count_failure(permit, late)
                raise late from None
        self.__exit__(kind, error, trace)


def ended(breaker: Core, permit: Permit | int, error: BaseException | None) -> None:
    """The end of a block that was let in with a permit, or the quick way under a word."""
    if isinstance(permit, Permit):
        result = Outcome.SUCCESS if error is None else outcome.of_exception(error, breaker.config)
        breaker.settle(permit, result, error)
    elif error is not None:
        breaker.raised(permit, error)
    elif breaker.noting:
        breaker.returned(permit)


# The blocks that this task (or thread) is within by ``with breaker:``, innermost first.
Entered = tuple[Core, Permit | int | Guard, "Entered"] | None
entered: ContextVar[Entered] = ContextVar("oatie_breakers_entered", default=None)


def leave(breaker: Core) -> Permit | int | Guard | None:
    """Takes out the innermost block of this breaker; None where it is left in another context than it was
    entered in (a generator that somebody else finishes)."""
    found = entered.get()
    if found is not None and found[0] is breaker:
        entered.set(found[2])
        return found[1]
    passed: list[tuple[Core, Permit | int | Guard]] = []
    while found is not None:
        owner, permit, found = found
        if owner is breaker:
            for other, theirs in reversed(passed):
                found = (other, theirs, found)
            entered.set(found)
            return permit
        passed.append((owner, permit))
    return None
