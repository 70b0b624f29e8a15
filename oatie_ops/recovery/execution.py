"""One call of a service with all that helps: breaker, retries under a budget, strategies, fallback.

The first try is made straight away; what it costs to be able to try again is paid only when it has failed.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from oatie_ops.recovery import errors
from oatie_ops.recovery.breaker.calls import in_asyncio
from oatie_ops.recovery.breaker.rejection import CircuitOpenError
from oatie_ops.recovery.call_key import Keys
from oatie_ops.recovery.fallback import NothingToServe, ServiceFallback, call_with
from oatie_ops.recovery.service import Service, Strategy

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """``keys``: what its result is remembered under; none for not at all."""

    service: Service
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    keys: Keys

    def once(self) -> Any:
        return self.service.breaker.call(self.function, *self.args, **self.kwargs)

    async def once_async(self) -> Any:
        return await self.service.breaker.call_async(self.function, *self.args, **self.kwargs)

    def succeeded(self, result: Any) -> Any:
        service = self.service
        service.degraded = False
        if service.fallback is not None:
            service.fallback.remember(self.keys, result)
        return result

    def worth_another(self, error: Exception) -> bool:
        retry = self.service.retry
        if retry is None or isinstance(error, CircuitOpenError) or not isinstance(error, retry.on):
            return False
        return self.service.budget.take()


# --- sync -----------------------------------------------------------------------------------------------


def run(call: Call) -> Any:
    """A result, or where the function turns out to be async, its coroutine."""
    service = call.service
    code = getattr(call.function, "__code__", None)
    if code is not None and code in service.async_in_disguise:
        return run_async(call)
    service.calls += 1
    service.budget.called()
    try:
        result = call.once()
    except Exception as error:  # noqa: BLE001 - whatever it is, there may be something to serve
        return _after(call, error)
    if inspect.iscoroutine(result):
        # From now on what is served instead of its result is a coroutine too.
        if code is not None:
            service.async_in_disguise.add(code)
        return run_async(call, result)
    return call.succeeded(result)


def _after(call: Call, error: Exception) -> Any:
    tried = ""
    if not isinstance(error, CircuitOpenError):
        for way, again in (("retry", _retried), ("strategy", _repaired)):
            try:
                result = again(call, error)
            except _NotTried:
                continue
            except Exception as newer:  # noqa: BLE001 - it is the one to go on with
                error, tried = newer, way
            else:
                told(call, error, way, "recovered")
                return call.succeeded(result)
    try:
        instead = instead_of(call)
    except NothingToServe:
        told(call, error, tried, "failed")
        raise error from None
    return served(call, error, instead)


def _retried(call: Call, error: Exception) -> Any:
    retry = call.service.retry
    if retry is None or retry.attempts < 2 or not isinstance(error, retry.on):
        raise _NotTried
    for attempt in _attempts(call):
        with attempt:
            if attempt.num == 1:
                raise error  # the first try was made already
            return call.once()
    raise AssertionError("stamina gave up without an error")


def _repaired(call: Call, error: Exception) -> Any:
    strategies = call.service.begin_strategies(error)
    if not strategies:
        raise _NotTried
    try:
        for strategy in strategies:
            if _acted(call.service, strategy, error):
                return call.once()
    finally:
        call.service.end_strategies()
    raise _NotTried


def _acted(service: Service, strategy: Strategy, error: Exception) -> bool:
    try:
        done = call_with(strategy.act, error)
        if inspect.iscoroutine(done):
            done = _run_apart(in_time(service, done))
    except Exception:
        log.exception("the recovery strategy %s failed", strategy.name)
        return False
    return done is not False


def _run_apart(strategy: Coroutine[Any, Any, Any]) -> Any:
    """An async strategy of a sync call, which may itself have been made within an event loop."""
    from concurrent.futures import ThreadPoolExecutor

    if not in_asyncio():
        return asyncio.run(strategy)
    with ThreadPoolExecutor(1, "oatie-strategy") as apart:
        return apart.submit(asyncio.run, strategy).result()


# --- async ----------------------------------------------------------------------------------------------


async def run_async(call: Call, first: Awaitable[Any] | None = None) -> Any:
    """``first``: the first try, where it has begun already."""
    service = call.service
    if first is None:
        service.calls += 1
        service.budget.called()
    try:
        result = await (call.once_async() if first is None else first)
    except Exception as error:  # noqa: BLE001 - whatever it is, there may be something to serve
        return await _after_async(call, error)
    return call.succeeded(result)


async def _after_async(call: Call, error: Exception) -> Any:
    tried = ""
    if not isinstance(error, CircuitOpenError):
        for way, again in (("retry", _retried_async), ("strategy", _repaired_async)):
            try:
                result = await again(call, error)
            except _NotTried:
                continue
            except Exception as newer:  # noqa: BLE001 - it is the one to go on with
                error, tried = newer, way
            else:
                told(call, error, way, "recovered")
                return call.succeeded(result)
    try:
        instead = await instead_async(call)
    except NothingToServe:
        told(call, error, tried, "failed")
        raise error from None
    return served(call, error, instead)


async def _retried_async(call: Call, error: Exception) -> Any:
    retry = call.service.retry
    if retry is None or retry.attempts < 2 or not isinstance(error, retry.on):
        raise _NotTried
    async for attempt in _attempts(call):
        with attempt:
            if attempt.num == 1:
                raise error
            return await call.once_async()
    raise AssertionError("stamina gave up without an error")


async def _repaired_async(call: Call, error: Exception) -> Any:
    strategies = call.service.begin_strategies(error)
    if not strategies:
        raise _NotTried
    try:
        for strategy in strategies:
            if await _acted_async(call.service, strategy, error):
                return await call.once_async()
    finally:
        call.service.end_strategies()
    raise _NotTried


async def _acted_async(service: Service, strategy: Strategy, error: Exception) -> bool:
    try:
        done = call_with(strategy.act, error)
        if inspect.isawaitable(done):
            done = await in_time(service, done)
    except Exception:
        log.exception("the recovery strategy %s failed", strategy.name)
        return False
    return done is not False


# --- both -----------------------------------------------------------------------------------------------


class _NotTried(Exception):
    """This way is not open for this error."""


async def in_time(service: Service, awaitable: Awaitable[Any]) -> Any:
    """What is tried instead of a call gets as long as a call: who waits for it waits no longer."""
    if not in_asyncio():
        return await awaitable
    async with asyncio.timeout(service.breaker.config.timeout):
        return await awaitable


def _attempts(call: Call) -> Any:
    import stamina

    retry = call.service.retry
    assert retry is not None
    return stamina.retry_context(
        on=call.worth_another,
        attempts=retry.attempts,
        timeout=retry.timeout,
        wait_initial=retry.wait_initial,
        wait_max=retry.wait_max,
        wait_jitter=retry.wait_jitter,
    )


def instead_of(call: Call) -> Any:
    fallback = call.service.fallback
    if fallback is None:
        raise NothingToServe(call.service.name)
    try:
        return fallback.serve(call.keys, call.args, call.kwargs)
    except NothingToServe:
        raise
    except Exception:  # noqa: BLE001 - logged there
        return _data_instead(fallback)


async def instead_async(call: Call) -> Any:
    instead = instead_of(call)
    if not inspect.isawaitable(instead):
        return instead
    try:
        return await in_time(call.service, instead)
    except Exception:  # noqa: BLE001 - logged there
        assert call.service.fallback is not None
        return _data_instead(call.service.fallback)


def _data_instead(fallback: ServiceFallback) -> Any:
    """Where the fallback's function failed as well. Without data the error of the call itself is raised."""
    log.exception("the fallback function of %s failed", fallback.service_name)
    if fallback.fallback_data is None:
        raise NothingToServe(fallback.service_name) from None
    return fallback.fallback_data


def served(call: Call, error: Exception, instead: Any) -> Any:
    service = call.service
    service.served_instead += 1
    service.degraded = service.fallback is not None and service.fallback.degraded_mode
    told(call, error, "fallback", "served", "warning" if service.degraded else "error")
    return instead


def told(call: Call, error: Exception, way: str, outcome: str, severity: str = "error") -> None:
    """A rejection is no error of the service; the failures that led to it were told."""
    if isinstance(error, CircuitOpenError):
        return
    call.service.failed(error)
    errors.record(error, service=call.service.name, severity=severity, recovery=way, outcome=outcome)
