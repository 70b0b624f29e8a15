"""Async calls: deadlines, cancellation, bounded probes, async generators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from oatie_ops.error_recovery import CircuitBreaker, CircuitBreakerConfig, CircuitOpenError, State
from oatie_ops.recovery.breaker.pulse import awaited_future
from tests.unit.test_recovery_breaker import Clock, Down

QUICK = {"failure_threshold": 2, "success_threshold": 2, "recovery_timeout": 0.1, "timeout": 0.2}


def made(clock: Clock | None = None, **named: Any) -> CircuitBreaker:
    """With a clock of the test's own, only the deadlines of calls are in real time."""
    config = CircuitBreakerConfig(**{**QUICK, **named})
    return CircuitBreaker("db", config) if clock is None else CircuitBreaker("db", config, clock=clock)


async def fail() -> None:
    raise Down


async def ok() -> int:
    return 1


async def hang() -> None:
    await asyncio.sleep(3600)


async def failing(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Down):
            await breaker.call(fail)


def run(case: Any) -> None:
    asyncio.run(asyncio.wait_for(case, 60))


def test_it_opens_rejects_and_closes() -> None:
    async def case() -> None:
        clock = Clock()
        breaker = made(clock, recovery_timeout=10, timeout=60)
        guarded = breaker(ok)
        assert await guarded() == 1
        await failing(breaker, 2)
        with pytest.raises(CircuitOpenError):
            await guarded()
        with pytest.raises(CircuitOpenError):
            await breaker.call(ok)
        clock.now += 10
        assert [await guarded(), await breaker.call(ok)] == [1, 1]
        assert breaker.state is State.CLOSED

    run(case())


def test_with_the_systems_clock_it_opens_and_rejects() -> None:
    async def case() -> None:
        breaker = made(recovery_timeout=3600, timeout=3600)
        guarded, broken = breaker(ok), breaker(fail)
        assert await guarded() == 1
        for _ in range(2):
            with pytest.raises(Down):
                await broken()
        with pytest.raises(CircuitOpenError) as caught:
            await guarded()
        assert 3500 < caught.value.retry_after <= 3600

    run(case())


@pytest.mark.parametrize("window", ["consecutive", "count", "time"])
def test_a_call_that_hangs_is_interrupted_and_counts(window: str) -> None:
    async def case() -> None:
        breaker = made(window=window, minimum_calls=2, window_size=10, recovery_timeout=60)
        for way in (lambda: breaker.call(hang), breaker(hang)):
            with pytest.raises(TimeoutError, match=r"db took longer than 0\.2 s"):
                await way()
        assert breaker.state is State.OPEN
        assert not breaker.in_flight

    run(case())


def test_a_hang_within_an_async_generator_or_a_task_is_found() -> None:
    async def items() -> AsyncIterator[int]:
        await hang()
        yield 1

    async def through_generator() -> None:
        async for _ in items():
            pass

    async def through_task() -> None:
        await asyncio.gather(hang())

    async def case() -> None:
        breaker = made(failure_threshold=9)
        for way in (through_generator, through_task):
            with pytest.raises(TimeoutError):
                await breaker.call(way)
        assert breaker.failure_count == 2

    run(case())


def test_a_deadline_counts_even_where_timeouts_are_ignored() -> None:
    async def case() -> None:
        breaker = made(ignore=(TimeoutError,), recovery_timeout=60)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await breaker.call(hang)
        assert breaker.state is State.OPEN

    run(case())


def test_a_breaker_serves_one_event_loop_after_the_other() -> None:
    breaker = made(failure_threshold=9)

    async def case() -> None:
        with pytest.raises(TimeoutError):
            await breaker.call(hang)

    run(case())
    run(case())
    assert breaker.failure_count == 2


def test_cancelling_a_call_is_neither_failure_nor_success() -> None:
    async def case() -> None:
        breaker = made(timeout=60)
        await failing(breaker, 1)
        task = asyncio.create_task(breaker(hang)())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert breaker.failure_count == 1
        assert not breaker.in_flight

    run(case())


def test_of_fifty_callers_only_so_many_probe() -> None:
    async def case() -> None:
        clock = Clock()
        breaker = made(clock, recovery_timeout=10, timeout=60)
        await failing(breaker, 2)
        clock.now += 10
        inside, release = [], asyncio.Event()

        async def probe() -> None:
            inside.append(1)
            await release.wait()

        tasks = [asyncio.create_task(breaker.call_async(probe)) for _ in range(50)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(inside) == 2
        release.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(result, CircuitOpenError) for result in results) == 48
        assert breaker.state is State.CLOSED

    run(case())


def test_a_cancelled_probe_gives_its_place_back() -> None:
    async def case() -> None:
        clock = Clock()
        config = CircuitBreakerConfig(failure_threshold=1, success_threshold=1, recovery_timeout=10)
        breaker = CircuitBreaker("db", config, clock=clock)
        await failing(breaker, 1)
        clock.now += 10
        for _ in range(3):
            task = asyncio.create_task(breaker.call_async(hang))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            with pytest.raises(CircuitOpenError):
                await breaker.call(ok)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert await breaker.call(ok) == 1
        assert breaker.state is State.CLOSED

    run(case())


def test_a_hung_probe_does_not_wedge_it_although_the_deadline_is_long() -> None:
    async def case() -> None:
        clock = Clock()
        breaker = made(clock, timeout=3600, recovery_timeout=10, success_threshold=1)
        await failing(breaker, 2)
        clock.now += 10
        hung = asyncio.create_task(breaker.call_async(hang))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(CircuitOpenError):
            await breaker.call(ok)
        clock.now += 10
        assert await breaker.call(ok) == 1
        assert breaker.state is State.CLOSED
        hung.cancel()
        with suppress(asyncio.CancelledError):
            await hung

    run(case())


def test_an_overdue_probe_is_interrupted_and_opens_it_again() -> None:
    async def case() -> None:
        clock = Clock()
        breaker = made(clock, recovery_timeout=10, timeout=0.2)
        await failing(breaker, 2)
        clock.now += 10
        with pytest.raises(TimeoutError):
            await breaker.call(hang)
        assert breaker.state is State.OPEN

    run(case())


def test_late_results_of_async_calls_change_nothing() -> None:
    async def case() -> None:
        breaker = made(timeout=60, recovery_timeout=60, success_threshold=1)
        release = asyncio.Event()

        async def slow(error: bool) -> None:
            await release.wait()
            if error:
                raise Down

        early = [asyncio.create_task(breaker(slow)(error)) for error in (True, False, True)]
        await asyncio.sleep(0)
        await failing(breaker, 2)
        generation = breaker.circuit().generation
        release.set()
        await asyncio.gather(*early, return_exceptions=True)
        assert breaker.circuit().generation == generation
        breaker.reset()
        assert breaker.failure_count == 0

    run(case())


def test_async_functions_in_disguise_are_protected_too() -> None:
    class Client:
        async def __call__(self) -> None:
            raise Down

    async def case() -> None:
        for disguised in (lambda: fail(), partial(fail), Client()):  # noqa: PLW0108 - that is the disguise
            breaker = made(recovery_timeout=60)
            guarded: Any = breaker(disguised)
            for _ in range(2):
                with pytest.raises(Down):
                    await guarded()
            assert breaker.state is State.OPEN, disguised
            with pytest.raises(CircuitOpenError):
                await guarded()

    run(case())


def test_async_generators_are_one_call_to_their_end() -> None:
    async def case() -> None:
        breaker = made(failure_threshold=1, recovery_timeout=60)

        @breaker
        async def count(broken: bool) -> AsyncIterator[int]:
            yield 1
            if broken:
                raise Down
            yield 2

        assert [item async for item in count(False)] == [1, 2]
        left: Any = count(True)
        assert await anext(left) == 1
        await left.aclose()
        assert breaker.state is State.CLOSED
        with pytest.raises(Down):
            assert [item async for item in count(True)]
        assert breaker.state is State.OPEN
        with pytest.raises(CircuitOpenError):
            await anext(aiter(count(False)))

    run(case())


def test_what_is_sent_and_thrown_into_an_async_generator_arrives() -> None:
    async def case() -> None:
        breaker = made(failure_threshold=1)

        @breaker
        async def echo() -> Any:
            got: Any = "first"
            while True:
                try:
                    got = yield got
                except KeyError:
                    got = "caught"

        generator = echo()
        assert await anext(generator) == "first"
        assert await generator.asend("second") == "second"
        assert await generator.athrow(KeyError()) == "caught"
        with pytest.raises(Down):
            await generator.athrow(Down())
        assert breaker.state is State.CLOSED

    run(case())


def test_an_item_that_does_not_come_is_a_failure() -> None:
    async def case() -> None:
        breaker = made(failure_threshold=1, recovery_timeout=60)

        @breaker
        async def stuck() -> AsyncIterator[int]:
            yield 1
            await hang()

        with pytest.raises(TimeoutError):
            assert [item async for item in stuck()]
        assert breaker.state is State.OPEN

    run(case())


def test_async_blocks_have_the_deadline_too() -> None:
    async def case() -> None:
        breaker = made(recovery_timeout=60)
        async with breaker:
            pass
        for block in (breaker, breaker.guard()):
            with pytest.raises(TimeoutError):
                async with block:
                    await hang()
        assert breaker.state is State.OPEN
        with pytest.raises(CircuitOpenError):
            async with breaker:
                pass

    run(case())


def test_tasks_that_interleave_their_blocks_keep_them_apart() -> None:
    async def case() -> None:
        breaker = made(failure_threshold=100, timeout=60)

        async def work(number: int) -> None:
            with suppress(Down):
                async with breaker:
                    await asyncio.sleep(0)
                    if number % 2:
                        raise Down
            with breaker:
                await asyncio.sleep(0)

        await asyncio.gather(*(work(number) for number in range(20)))
        assert breaker.failed == 10

    run(case())


def test_nothing_is_waited_for_in_a_coroutine_that_was_not_begun() -> None:
    call = hang()
    assert awaited_future(call) is None
    call.close()


def test_two_orders_to_end_one_call_are_one() -> None:
    async def case() -> None:
        breaker = made(timeout=60)
        task = asyncio.ensure_future(breaker.call(hang))
        await asyncio.sleep(0)
        [call] = breaker.in_flight
        waits_for = awaited_future(call)
        assert waits_for is not None
        breaker.interrupt(call, waits_for)
        breaker.interrupt(call, waits_for)
        with pytest.raises(TimeoutError):
            await task

    run(case())


def test_a_call_that_never_waits_for_anything_has_a_deadline_too() -> None:
    async def case() -> None:
        async def spin() -> None:
            while True:
                await asyncio.sleep(0)

        breaker = made(timeout=0.1)
        with pytest.raises(TimeoutError):
            await breaker(spin)()
        assert breaker.failed == 1
        task = asyncio.current_task()
        assert task is not None and not task.cancelling()
        await asyncio.sleep(0)  # nothing of it is left over

    run(case())


def test_one_that_is_cancelled_besides_is_cancelled() -> None:
    async def case() -> None:
        async def spin() -> None:
            while True:
                await asyncio.sleep(0)

        breaker = made(timeout=60)
        task = asyncio.ensure_future(breaker.call(spin))
        while not breaker.in_flight:
            await asyncio.sleep(0)
        [call] = breaker.in_flight
        breaker.interrupt_task(call, task)
        breaker.interrupt_task(call, task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert breaker.failed == 0

    run(case())
