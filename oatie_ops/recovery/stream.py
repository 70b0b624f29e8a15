"""A generator as a call of a service: it is guarded while it runs, and where it gives nothing, the fallback
gives its items instead. What it gave is not remembered: items are gone once they were taken.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator
from typing import Any

from oatie_ops.recovery.execution import Call, instead_async, instead_of, served, told
from oatie_ops.recovery.fallback import NothingToServe


def run(call: Call) -> Generator[Any, Any, Any]:
    call.service.calls += 1
    items, begun = call.once(), False
    try:
        item = next(items)
        begun = True
        sent = yield item
        while True:
            sent = yield items.send(sent)
    except StopIteration as stop:
        call.service.degraded = False
        return stop.value
    except Exception as error:
        if begun:
            told(call, error, "", "failed")
            raise
        failure = error
    finally:
        items.close()
    try:
        instead = instead_of(call)
    except NothingToServe:
        told(call, failure, "", "failed")
        raise failure from None
    return (yield from served(call, failure, instead))


async def run_async(call: Call) -> AsyncGenerator[Any, Any]:
    call.service.calls += 1
    items, begun = call.once(), False
    try:
        item = await anext(items)
        begun = True
        sent = yield item
        while True:
            sent = yield await items.asend(sent)
    except StopAsyncIteration:
        call.service.degraded = False
        return
    except Exception as error:
        if begun:
            told(call, error, "", "failed")
            raise
        failure = error
    finally:
        await items.aclose()
    try:
        instead = served(call, failure, await instead_async(call))
    except NothingToServe:
        told(call, failure, "", "failed")
        raise failure from None
    if isinstance(instead, AsyncIterable):
        async for item in instead:
            yield item
    else:
        for item in instead:
            yield item
