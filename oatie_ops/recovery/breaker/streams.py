"""Generators and async generators: one call lasts from the first item that is asked for to the end.

A consumer that leaves early tells nothing about the service; neither does an exception that the consumer
itself threw in and that comes back. Each item of an async generator has the deadline of a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from functools import wraps
from inspect import isasyncgenfunction, isgeneratorfunction
from types import AsyncGeneratorType, GeneratorType
from typing import Any, ParamSpec, TypeVar

from oatie_ops.recovery.breaker import outcome
from oatie_ops.recovery.breaker.calls import in_asyncio, overdue
from oatie_ops.recovery.breaker.config import Outcome
from oatie_ops.recovery.breaker.core import Core

P = ParamSpec("P")
Y = TypeVar("Y")
S = TypeVar("S")
R = TypeVar("R")


def generator(breaker: Core, function: Callable[P, Generator[Y, S, R]]) -> Callable[P, Generator[Y, S, R]]:
    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Generator[Y, S, R]:
        permit = breaker.admit()
        thrown: BaseException | None = None
        inner = function(*args, **kwargs)
        try:
            item = next(inner)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    inner.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown on into the generator
                    thrown = error
                    item = inner.throw(error)
                else:
                    thrown = None
                    # A generator that is only iterated gets None, which `send` takes for `next`.
                    item = inner.send(sent)
        except StopIteration as stop:
            breaker.settle(permit.restarted(breaker.now()), Outcome.SUCCESS)
            result: R = stop.value
            return result
        except BaseException as error:
            breaker.settle(permit, _judged(breaker, error, thrown), error)
            raise

    return guarded


def async_generator(
    breaker: Core, function: Callable[P, AsyncGenerator[Y, S]]
) -> Callable[P, AsyncGenerator[Y, S]]:
    @wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Y, S]:
        permit = breaker.admit()
        thrown: BaseException | None = None
        inner = function(*args, **kwargs)
        try:
            item = await _step(breaker, inner.__anext__())
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown on into the generator
                    thrown = error
                    item = await _step(breaker, inner.athrow(error))
                else:
                    thrown = None
                    item = await _step(breaker, inner.asend(sent))
        except StopAsyncIteration:
            breaker.settle(permit.restarted(breaker.now()), Outcome.SUCCESS)
        except _OverdueError as error:
            breaker.settle(permit, Outcome.FAILURE, error)
            await inner.aclose()
            raise
        except BaseException as error:
            breaker.settle(permit, _judged(breaker, error, thrown), error)
            raise

    return guarded


def begun(breaker: Core, function: Callable[..., Any], made: Any) -> Any:
    """``made`` by a call of the function, guarded where it is a generator and the function is of its kind.

    What only hands on a generator of somebody else ended well when it returned.
    """
    if made.__class__ is GeneratorType and isgeneratorfunction(function):
        return generator(breaker, lambda: made)()
    if made.__class__ is AsyncGeneratorType and isasyncgenfunction(function):
        return async_generator(breaker, lambda: made)()
    return made


class _OverdueError(TimeoutError):
    """Of a step of ours, to tell it from the generator's own time-outs."""


async def _step(breaker: Core, item: Awaitable[Y]) -> Y:
    if breaker.config.timeout is None or not in_asyncio():
        return await item
    limit = asyncio.timeout(breaker.deadline)
    try:
        async with limit:
            return await item
    except TimeoutError:
        if limit.expired():
            raise _OverdueError(*overdue(breaker).args) from None
        raise


def _judged(breaker: Core, error: BaseException, thrown: BaseException | None) -> Outcome:
    return Outcome.IGNORED if error is thrown else outcome.of_exception(error, breaker.config)
