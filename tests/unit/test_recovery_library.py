"""The spec's library: services by name, fallbacks, retries under a budget, strategies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import stamina

from oatie_ops.error_recovery import (
    CircuitBreakerConfig,
    CircuitOpenError,
    ErrorRecoveryManager,
    Retry,
    RetryBudget,
    ServiceFallback,
    State,
)
from oatie_ops.recovery import errors
from oatie_ops.recovery.breaker import declared
from oatie_ops.recovery.call_key import call_keys

CONFIG = CircuitBreakerConfig(failure_threshold=2, success_threshold=1, timeout=60, recovery_timeout=300)
QUICK_RETRY = Retry(attempts=3, on=(ConnectionError,), wait_initial=0.001, wait_max=0.002, wait_jitter=0)


@pytest.fixture(autouse=True)
def own_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test records is not in the next one's summary."""
    monkeypatch.delenv(declared.VARIABLE, raising=False)
    monkeypatch.setattr(errors, "_log", errors.ErrorLog(None))
    with stamina.set_testing(False):
        yield


@pytest.fixture
def manager() -> ErrorRecoveryManager:
    return ErrorRecoveryManager()


class Database:
    """Fails as often as it is told to, then answers."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.calls = 0

    def query(self, number: int = 1) -> int:
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise ConnectionError("refused")
        return number * 2

    async def query_async(self, number: int = 1) -> int:
        await asyncio.sleep(0)
        return self.query(number)


def call(manager: ErrorRecoveryManager, database: Database, way: str, number: int = 1) -> int:
    if way == "sync":
        return manager.execute_with_recovery("db", database.query, number)

    async def wait() -> int:
        if way == "async":
            return await manager.execute_with_recovery("db", database.query_async, number)
        disguised: Any = lambda number: database.query_async(number)  # noqa: E731, PLW0108
        result: int = await manager.execute_with_recovery("db", disguised, number)
        return result

    return asyncio.run(asyncio.wait_for(wait(), 60))


WAYS = pytest.mark.parametrize("way", ["sync", "async", "disguised"])


@WAYS
def test_it_goes_through_the_breaker(manager: ErrorRecoveryManager, way: str) -> None:
    breaker = manager.register_service("db", CONFIG)
    assert call(manager, Database(), way, 4) == 8
    for _ in range(2):
        with pytest.raises(ConnectionError):
            call(manager, Database(1), way)
    assert breaker.state is State.OPEN
    database = Database()
    with pytest.raises(CircuitOpenError):
        call(manager, database, way)
    assert database.calls == 0
    assert manager.get_service_health("db")["status"] == "unhealthy"


@WAYS
def test_the_last_good_result_of_the_same_call_is_served(manager: ErrorRecoveryManager, way: str) -> None:
    database = Database()
    manager.register_service("db", CONFIG, fallback=ServiceFallback("db", cache_duration=300))
    assert call(manager, database, way, 4) == 8
    database.failures = 9
    for _ in range(4):
        assert call(manager, database, way, 4) == 8
    with pytest.raises((ConnectionError, CircuitOpenError)):
        call(manager, database, way, 5)
    assert manager.get_service_health("db")["degraded"] is True
    assert manager.get_error_summary()["recoveries"] == {"fallback": {"served": 1}}


@WAYS
def test_a_stale_result_gives_way_to_the_function_and_then_the_data(
    manager: ErrorRecoveryManager, way: str
) -> None:
    now = [0.0]
    fallback = ServiceFallback("db", lambda number: -number, cache_duration=10, clock=lambda: now[0])
    manager.register_service("db", CONFIG, fallback=fallback)
    database = Database()
    assert call(manager, database, way, 4) == 8
    database.failures = 99
    now[0] = 9.9
    assert call(manager, database, way, 4) == 8
    now[0] = 10.1
    assert call(manager, database, way, 4) == -4
    manager.register_fallback(ServiceFallback("db", fallback_data={"rows": []}))
    assert call(manager, database, way, 5) == {"rows": []}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_fallback_that_fails_gives_way_to_the_data_or_the_calls_own_error(
    manager: ErrorRecoveryManager, asynchronous: bool
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the fallback")

    async def broken_async(*_: Any) -> None:
        broken()

    database = Database(failures=9)
    function: Any = broken_async if asynchronous else broken
    query: Any = database.query_async if asynchronous else database.query

    def ask() -> Any:
        answer = manager.execute_with_recovery("database", query, 1)
        return asyncio.run(answer) if asynchronous else answer

    manager.register_service("database", CONFIG, ServiceFallback("database", function))
    with pytest.raises(ConnectionError, match="refused"):
        ask()
    manager.register_fallback(ServiceFallback("database", function, fallback_data=["data"]))
    assert ask() == ["data"]


def test_an_async_fallback_is_awaited(manager: ErrorRecoveryManager) -> None:
    async def instead(number: int) -> int:
        await asyncio.sleep(0)
        return -number

    manager.register_service("db", CONFIG, fallback=ServiceFallback("db", instead))
    assert call(manager, Database(9), "async", 3) == -3


@WAYS
def test_a_failed_call_is_tried_again(manager: ErrorRecoveryManager, way: str) -> None:
    manager.register_service("db", CircuitBreakerConfig(failure_threshold=9), retry=QUICK_RETRY)
    database = Database(2)
    assert call(manager, database, way, 4) == 8
    assert database.calls == 3
    group = manager.get_error_summary()["groups"][0]
    assert (group["recovery"], group["outcome"]) == ("retry", "recovered")
    with pytest.raises(ConnectionError):
        call(manager, Database(3), way)


@WAYS
def test_retries_end_when_the_breaker_opens(manager: ErrorRecoveryManager, way: str) -> None:
    manager.register_service("db", CONFIG, retry=QUICK_RETRY)
    database = Database(9)
    with pytest.raises((ConnectionError, CircuitOpenError)):
        call(manager, database, way)
    assert database.calls == 2


def test_without_a_retry_a_call_is_made_once(manager: ErrorRecoveryManager) -> None:
    database = Database(1)
    with pytest.raises(ConnectionError):
        call(manager, database, "sync")
    assert database.calls == 1


def test_retries_are_bounded_by_their_budget(manager: ErrorRecoveryManager) -> None:
    manager.register_service("db", CircuitBreakerConfig(failure_threshold=10_000), retry=QUICK_RETRY)
    manager.service("db").budget = RetryBudget(ratio=0.1, per_second=0, reserve=5)
    database = Database(10_000)
    for _ in range(100):
        with pytest.raises(ConnectionError):
            call(manager, database, "sync")
    assert 100 < database.calls <= 100 + 5 + 10


def test_a_budget_fills_with_time_and_calls() -> None:
    now = [0.0]
    budget = RetryBudget(ratio=0.5, per_second=1, reserve=2, clock=lambda: now[0])
    assert [budget.take() for _ in range(3)] == [True, True, False]
    now[0] = 1.0
    assert [budget.take() for _ in range(2)] == [True, False]
    budget.called()
    budget.called()
    assert [budget.take() for _ in range(2)] == [True, False]


@WAYS
def test_strategies_are_tried_in_turn_and_then_the_call_once_more(
    manager: ErrorRecoveryManager, way: str
) -> None:
    tried: list[str] = []
    database = Database(99)

    def useless(_error: BaseException) -> bool:
        tried.append("useless")
        return False

    def broken(_error: BaseException) -> None:
        tried.append("broken")
        raise RuntimeError

    def reconnect(error: BaseException) -> None:
        assert isinstance(error, ConnectionError)
        tried.append("reconnect")
        database.failures = 0

    manager.register_service("db", CONFIG)
    manager.register_recovery_strategy("db", lambda _error: tried.append("other"), errors=(KeyError,))
    for strategy in (useless, broken, reconnect):
        manager.register_recovery_strategy("db", strategy)
    assert call(manager, database, way, 4) == 8
    assert tried == ["useless", "broken", "reconnect"]
    group = manager.get_error_summary()["groups"][0]
    assert (group["recovery"], group["outcome"]) == ("strategy", "recovered")
    database.failures = 1
    with pytest.raises(ConnectionError):
        call(manager, database, way)
    assert len(tried) == 3


def test_an_async_strategy_is_awaited(manager: ErrorRecoveryManager) -> None:
    database = Database(99)

    async def reconnect(_error: BaseException) -> None:
        await asyncio.sleep(0)
        database.failures = 0

    manager.register_recovery_strategy("db", reconnect)
    assert call(manager, database, "async", 4) == 8


def test_cancelling_is_not_answered_with_a_fallback(manager: ErrorRecoveryManager) -> None:
    manager.register_service("db", CONFIG, fallback=ServiceFallback("db", fallback_data=1))

    async def case() -> None:
        task = asyncio.create_task(manager.execute_with_recovery("db", asyncio.sleep, 3600))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(case(), 60))


def test_a_breaker_that_opens_is_an_error_of_its_own(manager: ErrorRecoveryManager) -> None:
    manager.register_service("db", CONFIG)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            call(manager, Database(1), "sync")
    summary = manager.get_error_summary()
    kinds = {group["kind"]: group for group in summary["groups"]}
    assert kinds.keys() == {"ConnectionError", "CircuitOpened"}
    assert kinds["CircuitOpened"]["severity"] == "critical"
    assert kinds["ConnectionError"]["count"] == 2
    assert summary["by_service"] == {"db": 3}
    json.dumps(summary)


def test_registering_again_with_the_same_configuration_forgets_nothing(manager: ErrorRecoveryManager) -> None:
    """As a module that is imported twice does, or a handler at each request."""
    database = Database(failures=9)
    for _ in range(2):
        breaker = manager.register_service("database", CircuitBreakerConfig(failure_threshold=2))
        with pytest.raises(ConnectionError):
            manager.execute_with_recovery("database", database.query)
    assert breaker.state is State.OPEN
    again = manager.register_service("database", CircuitBreakerConfig(failure_threshold=3))
    assert again.config.failure_threshold == 3


def test_health_of_what_is_unknown_and_of_all(manager: ErrorRecoveryManager) -> None:
    assert manager.get_service_health("nope") == {"service": "nope", "status": "unknown"}
    manager.register_service("db")
    assert manager.get_service_health().keys() == {"db"}
    assert manager.get_service_health("db")["status"] == "healthy"


def test_the_declared_breaker_is_the_default_and_shared(tmp_path: Path) -> None:
    declared.publish(tmp_path, {"db": {"failure_threshold": 1, "recovery_timeout": 7.0, "unknown_key": 1}})
    one, two = ErrorRecoveryManager(tmp_path), ErrorRecoveryManager(tmp_path)
    assert one.breaker("db").config.failure_threshold == 1
    with pytest.raises(ConnectionError):
        call(one, Database(1), "sync")
    with pytest.raises(CircuitOpenError) as caught:
        call(two, Database(), "sync")
    assert 0 < caught.value.retry_after <= 7
    assert one.breaker("other").config == CircuitBreakerConfig()


def test_a_declaration_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"db": {"failure_threshold": 0}}', '{"db": 1}'):
        (tmp_path / declared.FILE).write_text(text)
        assert ErrorRecoveryManager(tmp_path).breaker("db").config == CircuitBreakerConfig()


def same_call(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return bool(set(call_keys(*one)) & set(call_keys(*other)))


def test_calls_are_told_apart_by_function_arguments_and_surroundings() -> None:
    def made(number: int) -> Any:
        return lambda: number

    one, same, other = ((made(number), (), {}) for number in (1, 1, 2))
    assert same_call(one, same)
    assert not same_call(one, other)
    assert not same_call((made, (1,), {}), (made, (2,), {}))
    database, another = Database(), Database()
    assert same_call((database.query, (), {}), (database.query, (), {}))
    assert not same_call((database.query, (), {}), (another.query, (), {}))
    assert same_call((partial(database.query, 1), (), {}), (database.query, (1,), {}))


def test_a_call_that_only_looks_like_another_is_another_call() -> None:
    questions = [lambda number=number: number for number in (1, 2)]
    named = [lambda *, number=number: number for number in (1, 2)]
    for one, other in (questions, named):
        assert same_call((one, (), {}), (one, (), {}))
        assert not same_call((one, (), {}), (other, (), {}))
    for one, other in combinations((1, 1.0, True), 2):
        assert not same_call((len, (one,), {}), (len, (other,), {}))
        assert not same_call((len, (), {"it": one}), (len, (), {"it": other}))
    modules: list[dict[str, Any]] = [{}, {}]
    for module in modules:
        exec(compile("def query(): return SQL", "", "exec"), module)
    one, other = (module["query"] for module in modules)
    assert one.__code__ == other.__code__
    assert not same_call((one, (), {}), (other, (), {}))


def test_arguments_are_compared_by_what_they_hold() -> None:
    assert same_call((len, ([1, {"a": [2]}],), {}), (len, ([1, {"a": [2]}],), {}))
    assert not same_call((len, ([1, {"a": [2]}],), {}), (len, ([1, {"a": [3]}],), {}))
    assert not same_call((len, ([1],), {}), (len, ((1,),), {}))
    assert call_keys(len, (Unhashable(),), {}) == ()


class Unhashable:
    __hash__ = None  # type: ignore[assignment]


def test_a_function_is_the_same_whatever_becomes_of_the_variables_around_it(
    manager: ErrorRecoveryManager,
) -> None:
    """The state that makes it fail is around it: what it gave before is served all the same."""
    up, state = True, {"up": True, "calls": 0}

    def by_variable() -> str:
        if not up:
            raise ConnectionError
        return "good"

    def by_dict() -> str:
        if not state["up"]:
            raise ConnectionError
        return "good"

    config = CircuitBreakerConfig(failure_threshold=100)
    manager.register_service("database", config, ServiceFallback("database", fallback_data="data"))
    for query in (by_variable, by_dict):
        assert manager.execute_with_recovery("database", query) == "good"
    up = state["up"] = False
    for query in (by_variable, by_dict):
        assert manager.execute_with_recovery("database", query) == "good"


def test_a_call_with_a_variable_that_has_no_value_is_known_by_its_function(
    manager: ErrorRecoveryManager,
) -> None:
    def query() -> int:
        return 1 if manager else later

    manager.register_service("database", CONFIG, ServiceFallback("database", fallback_data=[]))
    assert manager.execute_with_recovery("database", query) == 1
    assert len(call_keys(query, (), {})) == 1
    later = 2


def test_fallbacks_and_strategies_may_take_nothing(manager: ErrorRecoveryManager) -> None:
    database = Database(failures=1)
    manager.register_service("database", CONFIG)
    manager.register_recovery_strategy("database", lambda: None)
    assert manager.execute_with_recovery("database", database.query, 4) == 8
    broken = Database(failures=9)
    fallback = ServiceFallback("cache", fallback_function=lambda: "instead", cache_duration=0)
    manager.register_service("cache", CONFIG, fallback)
    assert manager.execute_with_recovery("cache", broken.query, number=4) == "instead"


def test_an_async_strategy_helps_a_sync_call_within_an_event_loop(manager: ErrorRecoveryManager) -> None:
    database, repaired = Database(failures=1), []

    async def repair(error: BaseException) -> None:
        await asyncio.sleep(0)
        repaired.append(type(error))

    manager.register_recovery_strategy("database", repair)

    async def serve() -> int:
        return manager.execute_with_recovery("database", database.query, 4)

    assert asyncio.run(serve()) == 8
    assert repaired == [ConnectionError]


def test_a_generator_is_guarded_while_it_runs(manager: ErrorRecoveryManager) -> None:
    def rows(good: int) -> Iterator[int]:
        yield from range(good)
        raise ConnectionError

    async def rows_async(good: int) -> AsyncIterator[int]:
        for row in range(good):
            yield row
        raise ConnectionError

    async def collected(good: int) -> list[int]:
        return [row async for row in manager.execute_with_recovery("later", rows_async, good)]

    for name in ("now", "later"):
        fallback = ServiceFallback(name, fallback_function=lambda: iter([7]), cache_duration=300)
        manager.register_service(name, CircuitBreakerConfig(failure_threshold=3), fallback)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            list(manager.execute_with_recovery("now", rows, 2))
        with pytest.raises(ConnectionError):
            asyncio.run(collected(2))
    assert list(manager.execute_with_recovery("now", rows, 0)) == [7]
    assert asyncio.run(collected(0)) == [7]
    for name in ("now", "later"):
        health = manager.get_service_health(name)
        assert (health["breaker"]["state"], health["calls"], health["failed"]) == ("open", 3, 3)
    assert list(manager.execute_with_recovery("now", rows, 2)) == [7]


def test_the_specs_names_are_where_the_spec_has_them() -> None:
    import oatie_ops
    from oatie_ops import error_recovery

    manager = ("error_recovery_manager", "ServiceFallback")
    for name in (*manager, "CircuitBreaker", "CircuitBreakerConfig", "CircuitOpenError"):
        assert getattr(oatie_ops, name) is getattr(error_recovery, name)
    assert error_recovery.degradation_manager is oatie_ops.degradation_manager


@WAYS
def test_what_hangs_instead_of_the_service_is_interrupted(manager: ErrorRecoveryManager, way: str) -> None:
    async def hang(*_: object) -> int:
        await asyncio.sleep(3600)
        return 0

    fallback = None if way == "sync" else ServiceFallback("db", hang, fallback_data=7)
    manager.register_service("db", CircuitBreakerConfig(timeout=0.05), fallback)
    manager.register_recovery_strategy("db", hang)
    if way == "sync":
        with pytest.raises(ConnectionError):
            call(manager, Database(failures=9), way)
    else:
        assert call(manager, Database(failures=9), way) == 7


def test_what_cannot_be_called_is_refused_when_it_is_registered(manager: ErrorRecoveryManager) -> None:
    with pytest.raises(TypeError, match="fallback_data"):
        ServiceFallback("db", {"reports": []})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="strategy"):
        manager.register_recovery_strategy("db", "restart")  # type: ignore[arg-type]
