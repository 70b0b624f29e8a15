"""Checked by mypy (tests/unit/test_recovery_typing.py), never run: what the breaker keeps of types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, assert_type

from oatie_ops import CircuitBreaker, CircuitBreakerConfig, ServiceFallback, error_recovery_manager
from oatie_ops.error_recovery import CircuitOpenError, State

breaker = CircuitBreaker("db", CircuitBreakerConfig(failure_threshold=5, timeout=60))


@breaker
def plain(number: int, *, word: str = "") -> str:
    return word * number


@breaker
async def asynchronous(number: int) -> bytes:
    return bytes(number)


@breaker
def generator(number: int) -> Iterator[int]:
    yield number


@breaker
async def async_generator(number: int) -> AsyncIterator[int]:
    yield number


assert_type(plain(1, word="x"), str)
coroutine = asynchronous(1)
kept = assert_type(coroutine, Coroutine[Any, Any, bytes])
assert_type(generator(1), Iterator[int])
assert_type(async_generator(1), AsyncIterator[int])
assert_type(breaker.call(plain, 1, word="x"), str)
assert_type(breaker.state, State)
assert_type(error_recovery_manager.execute_with_recovery("db", plain, 2), str)
ServiceFallback("db", fallback_function=plain, degraded_mode=True, cache_duration=300)


def told(error: CircuitOpenError) -> None:
    assert_type(error.retry_after, float)
    assert_type(error.service, str)


async def used() -> None:
    assert_type(await asynchronous(1), bytes)
    assert_type(await breaker.call(asynchronous, 1), bytes)
    assert_type(await breaker.call_async(asynchronous, 1), bytes)
    assert_type(await error_recovery_manager.execute_with_recovery("db", asynchronous, 2), bytes)
    async with breaker as entered:
        assert_type(entered, CircuitBreaker)
    with breaker.guard():
        plain(1)


plain("1")  # type: ignore[arg-type]
plain(1, wrong=2)  # type: ignore[call-arg]
breaker.call(plain, "1")  # type: ignore[arg-type]
breaker.call(plain, 1, wrong="x")  # type: ignore[call-arg]
CircuitBreakerConfig(window="days")  # type: ignore[arg-type]
