"""How a plain or an async function is called through a breaker: the quick way, and the whole one.

The quick way is what every call takes while all is well, so it is written out where it is used: no lock, no
clock, no function of ours is called. It is left as soon as there is anything to count.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from functools import wraps
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar, cast

from oatie_ops.recovery.breaker import outcome
from oatie_ops.recovery.breaker.config import Outcome
from oatie_ops.recovery.breaker.core import Core
from oatie_ops.recovery.breaker.gate import Permit
from oatie_ops.recovery.breaker.overdue import was_interrupted
from oatie_ops.recovery.breaker.pulse import pulse
from oatie_ops.recovery.breaker.rejection import CircuitOpenError

P = ParamSpec("P")
R = TypeVar("R")


def plain(breaker: Core, function: Callable[P, R]) -> Callable[P, R]:
    bare: Callable[..., R] = function  # a call without keywords is faster where none are spread

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        word = breaker.words[0]
        if word == breaker.quick:
            since = pulse.now
            try:
                result = function(*args, **kwargs) if kwargs else bare(*args)
            except BaseException as error:
                breaker.raised(word, error)
                raise
            if breaker.noting or pulse.now is not since or result.__class__ is CoroutineType:
                return cast(R, returned(breaker, word, since, result))
            return result
        if word == breaker.shut and (left := breaker.shut_until - breaker.clock()) > 0:
            breaker.rejected += 1
            raise CircuitOpenError(breaker.name, left, "open")
        return cast(R, whole(breaker, function, args, kwargs))

    return guarded


def timed(breaker: Core, function: Callable[P, R]) -> Callable[P, R]:
    """For a breaker that must know how long each call took, or when it ended."""
    clock = breaker.clock
    judge = breaker.config.result_predicate

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        word = breaker.words[0]
        if word != breaker.adopted or judge is not None:
            return cast(R, whole(breaker, function, args, kwargs))
        began = clock()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            breaker.settle(Permit(word, 0, began), outcome.of_exception(error, breaker.config), error)
            raise
        if result.__class__ is CoroutineType:
            return cast(R, finish(breaker, cast(Any, result), Permit(word, 0, began)))
        now = clock()
        if breaker.noting or now - began > breaker.calm_up_to:
            breaker.passed(word, now - began, now)
        return result

    return guarded


def asynchronous(
    breaker: Core, function: Callable[P, Coroutine[Any, Any, R]]
) -> Callable[P, Coroutine[Any, Any, R]]:
    bare: Callable[..., Coroutine[Any, Any, R]] = function

    @wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        word = breaker.words[0]
        if word == breaker.quick:
            call = function(*args, **kwargs) if kwargs else bare(*args)
            in_flight = breaker.in_flight
            in_flight[call] = word
            try:
                result = await call
            except BaseException as error:
                mark = in_flight.pop(call, None)
                if was_interrupted(mark, error):
                    raise late(breaker, word) from None
                breaker.raised(word, error)
                raise
            del in_flight[call]
            if breaker.noting:
                breaker.returned(word)
            return result
        if word == breaker.shut and (left := breaker.shut_until - breaker.clock()) > 0:
            breaker.rejected += 1
            raise CircuitOpenError(breaker.name, left, "open")
        return cast(R, await whole_async(breaker, function, args, kwargs))

    return guarded


def timed_async(
    breaker: Core, function: Callable[P, Coroutine[Any, Any, R]]
) -> Callable[P, Coroutine[Any, Any, R]]:
    clock = breaker.clock
    judge = breaker.config.result_predicate
    # The deadline is kept for us; how long a call took matters only where it may be slow.
    measured = breaker.config.slow_call_duration is not None or clock is not time.monotonic

    @wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        word = breaker.words[0]
        if word != breaker.adopted or judge is not None:
            return cast(R, await whole_async(breaker, function, args, kwargs))
        began = clock() if measured else 0.0
        call = function(*args, **kwargs)
        in_flight = breaker.in_flight
        in_flight[call] = word
        try:
            result = await call
        except BaseException as error:
            mark = in_flight.pop(call, None)
            if was_interrupted(mark, error):
                raise late(breaker, word) from None
            permit = Permit(word, 0, began or clock())
            breaker.settle(permit, outcome.of_exception(error, breaker.config), error)
            raise
        del in_flight[call]
        now = clock()
        breaker.passed(word, now - began if measured else 0.0, now)
        return result

    return guarded


def returned(breaker: Core, word: int, since: float, result: Any) -> Any:
    """The end of a quick plain call where there is something to note."""
    if result.__class__ is CoroutineType:
        # An async function in disguise (a lambda, a decorator of somebody else): its end is still to come.
        return finish(breaker, result, Permit(word, 0, breaker.now()))
    breaker.returned(word, None if pulse.now is since else since)
    return result


def late(breaker: Core, word: int) -> TimeoutError:
    """The error of a call that was interrupted; it is counted, whatever the configuration ignores."""
    error = overdue(breaker)
    breaker.count_failure(word, error)
    return error


def overdue(breaker: Core) -> TimeoutError:
    named = f" to {breaker.name}" if breaker.name else ""
    return TimeoutError(f"the call{named} took longer than {breaker.deadline:g} s")


def whole(breaker: Core, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    permit = breaker.admit()
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        breaker.settle(permit, outcome.of_exception(error, breaker.config), error)
        raise
    if result.__class__ is CoroutineType:
        return finish(breaker, result, permit)
    breaker.settle(permit, judged(breaker, permit, result))
    return result


async def whole_async(breaker: Core, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    permit = breaker.admit()
    try:
        call = function(*args, **kwargs)
    except BaseException as error:
        breaker.settle(permit, outcome.of_exception(error, breaker.config), error)
        raise
    return await finish(breaker, call, permit)


async def finish(breaker: Core, call: Awaitable[R], permit: Permit) -> R:
    """Awaits an admitted call with its deadline, and settles it."""
    if permit.token == 0 and call.__class__ is CoroutineType:
        return await _finish_noted(breaker, call, permit)
    limit = asyncio.timeout(None if breaker.config.timeout is None else breaker.deadline)
    try:
        async with limit if in_asyncio() else nullcontext():
            result = await call
    except BaseException as error:
        if limit.expired() and isinstance(error, TimeoutError):
            error = overdue(breaker)
            breaker.settle(permit, Outcome.FAILURE, error)
            raise error from None
        breaker.settle(permit, outcome.of_exception(error, breaker.config), error)
        raise
    breaker.settle(permit, judged(breaker, permit, result))
    return result


async def _finish_noted(breaker: Core, call: Coroutine[Any, Any, R], permit: Permit) -> R:
    """Of a closed breaker: the deadline is kept by `oatie_ops.recovery.breaker.pulse`."""
    in_flight = breaker.in_flight
    in_flight[call] = permit.word
    try:
        result = await call
    except BaseException as error:
        mark = in_flight.pop(call, None)
        if was_interrupted(mark, error):
            raise late(breaker, permit.word) from None
        breaker.settle(permit, outcome.of_exception(error, breaker.config), error)
        raise
    del in_flight[call]
    breaker.settle(permit, judged(breaker, permit, result))
    return result


def judged(breaker: Core, permit: Permit, result: Any) -> Outcome:
    try:
        return outcome.of_result(result, breaker.config)
    except BaseException:
        breaker.settle(permit, Outcome.IGNORED)  # the judge failed, not the service; a probe's place is free
        raise


def in_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
