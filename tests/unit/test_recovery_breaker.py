"""What a breaker must do, case by case, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from oatie_ops.error_recovery import CircuitBreaker, CircuitBreakerConfig, CircuitOpenError, Outcome, State
from oatie_ops.recovery.breaker.events import Change


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Down(Exception):
    pass


class NotFound(Exception):
    pass


def fail() -> None:
    raise Down("down")


def ok() -> int:
    return 1


def made(clock: Clock | None = None, **named: Any) -> CircuitBreaker:
    settings = {"failure_threshold": 3, "success_threshold": 2, "recovery_timeout": 10.0, "timeout": 5.0}
    config = CircuitBreakerConfig(**{**settings, **named})
    return CircuitBreaker("db", config, clock=clock or Clock(), random=lambda: 0.5)


def failing(breaker: CircuitBreaker, times: int, function: Callable[[], Any] = fail) -> None:
    for _ in range(times):
        with pytest.raises(Down):
            breaker.call(function)


def refused(breaker: CircuitBreaker) -> CircuitOpenError:
    called: list[int] = []
    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(lambda: called.append(1))
    assert not called
    return caught.value


def test_the_specs_configuration_works() -> None:
    config = CircuitBreakerConfig(failure_threshold=5, success_threshold=3, timeout=60, recovery_timeout=300)
    assert config == CircuitBreakerConfig()
    assert CircuitBreaker(config).state == "closed"
    assert CircuitBreaker("x", config).name == "x"


@pytest.mark.parametrize(
    "named",
    [
        {"failure_threshold": 0},
        {"success_threshold": 0},
        {"timeout": 0},
        {"recovery_timeout": -1},
        {"recovery_timeout": float("nan")},
        {"window": "days"},
        {"window": "count", "window_size": 0.5},
        {"window": "count", "window_size": 1e12},
        {"failure_rate": 0},
        {"slow_call_duration": 1.0},
        {"max_probes": 17},
        {"probe_lease": 0},
        {"jitter": 1.0},
        {"recovery_timeout_growth": 0.5},
        {"recovery_timeout_max": 1.0},
        {"failures": ("ValueError",)},
        {"ignore": ValueError("an error")},
        {"successes": int},
    ],
)
def test_nonsense_is_refused(named: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(named)) if "window" not in named else "window"):
        CircuitBreakerConfig(**named)


def test_exception_types_may_be_one_or_any_collection() -> None:
    for given in (NotFound, [NotFound], {NotFound}):
        config = CircuitBreakerConfig(ignore=given)  # type: ignore[arg-type]
        assert config.ignore == (NotFound,)


def test_it_opens_at_exactly_the_threshold_with_the_original_error() -> None:
    breaker = made()
    failing(breaker, 2)
    assert breaker.state is State.CLOSED
    failing(breaker, 1)
    assert breaker.state is State.OPEN
    refused(breaker)


def test_a_success_begins_the_count_anew() -> None:
    breaker = made()
    failing(breaker, 2)
    assert breaker.call(ok) == 1
    failing(breaker, 2)
    assert breaker.state is State.CLOSED


def test_rejections_are_fresh_and_say_when_to_come_again() -> None:
    clock = Clock()
    breaker = made(clock)
    failing(breaker, 3)
    clock.now += 4
    first, second = refused(breaker), refused(breaker)
    assert first is not second
    assert first.retry_after == pytest.approx(6)
    assert breaker.retry_after == pytest.approx(6)
    assert (first.service, first.state) == ("db", "open")
    assert "circuit breaker of db is open" in str(first)
    assert "db" in first.as_dict()["what"]
    assert first.__context__ is None
    assert first.__cause__ is None
    copy = pickle.loads(pickle.dumps(first))
    assert copy.retry_after == first.retry_after


def test_rejections_leave_nothing_behind() -> None:
    breaker = made()
    failing(breaker, 3)
    guarded = breaker(ok)

    def many(times: int) -> int:
        for _ in range(times):
            with suppress(CircuitOpenError):
                guarded()
        gc.collect()
        return len(gc.get_objects())

    assert many(2000) - many(10) < 100


def test_it_closes_after_enough_successful_probes() -> None:
    clock = Clock()
    breaker = made(clock)
    failing(breaker, 3)
    clock.now += 10
    assert breaker.state is State.HALF_OPEN
    breaker.call(ok)
    assert breaker.state is State.HALF_OPEN
    breaker.call(ok)
    assert breaker.state is State.CLOSED
    failing(breaker, 2)
    assert breaker.state is State.CLOSED


def test_one_failed_probe_opens_it_again_for_longer_up_to_a_limit() -> None:
    clock = Clock()
    breaker = made(clock, recovery_timeout_max=35.0)
    failing(breaker, 3)
    periods = []
    for _ in range(4):
        clock.now += breaker.retry_after
        breaker.call(ok)
        failing(breaker, 1)
        periods.append(breaker.retry_after)
    assert periods == pytest.approx([20, 35, 35, 35])
    clock.now += 35
    for _ in range(2):
        breaker.call(ok)
    failing(breaker, 3)
    assert breaker.retry_after == pytest.approx(10)


def test_a_period_that_grows_beyond_every_number_stays_at_its_limit() -> None:
    clock = Clock()
    breaker = made(clock, failure_threshold=1, recovery_timeout_growth=1e6)
    for _ in range(70):
        failing(breaker, 1)
        clock.now += 101.0
    failing(breaker, 1)
    assert breaker.retry_after == 100.0


def test_later_periods_are_jittered() -> None:
    clock = Clock()
    config = CircuitBreakerConfig(failure_threshold=1, recovery_timeout=10, jitter=0.2)
    numbers = iter([0.0, 1.0])
    breaker = CircuitBreaker("db", config, clock=clock, random=lambda: next(numbers))
    failing(breaker, 1)
    assert breaker.retry_after == pytest.approx(10)
    for expected in (20 * 0.8, 40 * 1.2):
        clock.now += breaker.retry_after
        failing(breaker, 1)
        assert breaker.retry_after == pytest.approx(expected)


def test_probes_are_bounded_and_a_hung_one_gives_its_place_back() -> None:
    clock = Clock()
    breaker = made(clock, success_threshold=2)
    failing(breaker, 3)
    clock.now += 10
    hung = [breaker.admit(), breaker.admit()]
    assert refused(breaker).retry_after == pytest.approx(5)
    clock.now += 5
    breaker.call(ok)
    breaker.call(ok)
    assert breaker.state is State.CLOSED
    breaker.settle(hung[0], Outcome.FAILURE)
    assert breaker.state is State.CLOSED
    assert breaker.failure_count == 0


def test_max_probes_bounds_them_further() -> None:
    clock = Clock()
    breaker = made(clock, success_threshold=5, max_probes=1)
    failing(breaker, 3)
    clock.now += 10
    permit = breaker.admit()
    refused(breaker)
    breaker.settle(permit, Outcome.IGNORED)
    breaker.call(ok)


def test_late_results_change_nothing() -> None:
    clock = Clock()
    breaker = made(clock, success_threshold=1)
    with breaker.guard():
        early = [breaker.admit() for _ in range(4)]
        failing(breaker, 3)
        breaker.settle(early[0], Outcome.SUCCESS)
        breaker.settle(early[1], Outcome.FAILURE)
        assert breaker.state is State.OPEN
        assert breaker.retry_after == pytest.approx(10)
    clock.now += 10
    probe = breaker.admit()
    breaker.settle(early[2], Outcome.SUCCESS)
    assert breaker.state is State.HALF_OPEN
    breaker.settle(probe, Outcome.SUCCESS)
    for _ in range(3):
        breaker.settle(early[3], Outcome.FAILURE)
    assert breaker.state is State.CLOSED
    assert breaker.failure_count == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_ends_a_call_from_outside_counts_as_nothing(error: type[BaseException]) -> None:
    breaker = made(failure_threshold=1)

    def leave() -> None:
        raise error

    with pytest.raises(error):
        breaker.call(leave)
    assert breaker.state is State.CLOSED


def test_exceptions_are_judged_by_predicate_successes_ignore_and_failures() -> None:
    def judge(error: BaseException) -> bool | None:
        return True if "worse" in str(error) else None

    breaker = made(ignore=(KeyError,), successes=(NotFound,), failures=(Down, LookupError), predicate=judge)

    def raises(error: Exception) -> None:
        def act() -> None:
            raise error

        with pytest.raises(type(error)):
            breaker.call(act)

    failing(breaker, 2)
    raises(KeyError("ignored"))
    raises(ValueError("not among the failures"))
    assert breaker.failure_count == 2
    raises(NotFound())
    assert breaker.failure_count == 0
    raises(IndexError())
    raises(KeyError("worse"))
    assert breaker.failure_count == 2


def test_a_judge_that_fails_leaves_the_types_to_decide() -> None:
    breaker = made(predicate=lambda error: 1 / 0)  # type: ignore[arg-type, return-value]
    failing(breaker, 3)
    assert breaker.state is State.OPEN


def test_results_can_be_failures_too() -> None:
    breaker = made(result_predicate=lambda result: result == 503)
    guarded = breaker(lambda status: status)
    for _ in range(3):
        assert guarded(503) == 503
    assert breaker.state is State.OPEN


def test_an_ignored_probe_gives_its_place_back() -> None:
    clock = Clock()
    breaker = made(clock, success_threshold=1, ignore=(KeyError,))
    failing(breaker, 3)
    clock.now += 10
    for _ in range(5):
        with pytest.raises(KeyError):
            breaker.call(lambda: {}["x"])
    breaker.call(ok)
    assert breaker.state is State.CLOSED


def test_a_sync_call_that_overran_its_deadline_counts_as_a_failure() -> None:
    clock = Clock()
    breaker = made(clock)

    def slow() -> str:
        clock.now += 5.1
        return "late"

    assert [breaker.call(slow) for _ in range(3)] == ["late"] * 3
    assert breaker.state is State.OPEN


def test_with_the_systems_clock_an_overrun_is_noticed_too() -> None:
    breaker = CircuitBreaker("db", CircuitBreakerConfig(failure_threshold=1, timeout=0.05))
    guarded = breaker(time.sleep)
    guarded(0)
    deadline = time.monotonic() + 60
    while breaker.state is State.CLOSED:
        assert time.monotonic() < deadline
        guarded(0.3)


def test_the_wall_clock_may_step(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker = CircuitBreaker("db", CircuitBreakerConfig(failure_threshold=1, recovery_timeout=300))
    failing(breaker, 1)
    now = time.time()
    for step in (-3600.0, 3600.0):
        monkeypatch.setattr(time, "time", lambda step=step: now + step)
        assert 290 < refused(breaker).retry_after <= 300


# --- windows --------------------------------------------------------------------------------------------


def test_a_count_window_opens_at_its_rate_and_not_before_enough_calls() -> None:
    breaker = made(window="count", window_size=10, minimum_calls=4, failure_rate=0.5)
    failing(breaker, 2)
    breaker.call(ok)
    assert breaker.state is State.CLOSED
    failing(breaker, 1)
    assert breaker.state is State.OPEN


def test_a_count_window_forgets_what_left_it() -> None:
    breaker = made(window="count", window_size=4, minimum_calls=4, failure_rate=0.75)
    for _ in range(3):
        failing(breaker, 2)
        for _ in range(4):
            breaker.call(ok)
    assert breaker.state is State.CLOSED
    assert breaker.failure_count == 0
    failing(breaker, 3)
    assert breaker.state is State.OPEN


def test_a_time_window_forgets_by_time() -> None:
    clock = Clock()
    breaker = made(clock, window="time", window_size=10, minimum_calls=3, failure_rate=0.5)
    failing(breaker, 2)
    clock.now += 11
    failing(breaker, 2)
    assert breaker.state is State.CLOSED
    failing(breaker, 1)
    assert breaker.state is State.OPEN


@pytest.mark.parametrize("window", ["count", "time"])
def test_slow_calls_open_a_window(window: str) -> None:
    clock = Clock()
    named = {"window_size": 10, "minimum_calls": 4, "slow_call_duration": 1.0, "slow_call_rate": 0.5}
    breaker = made(clock, window=window, **named)
    guarded = breaker(lambda seconds: setattr(clock, "now", clock.now + seconds))
    for seconds in (0.1, 0.1, 1.5):
        guarded(seconds)
    assert breaker.state is State.CLOSED
    guarded(1.5)
    assert breaker.state is State.OPEN


def test_a_slow_call_after_a_window_full_of_good_ones_is_not_overlooked() -> None:
    clock = Clock()
    named = {"window_size": 4, "minimum_calls": 4, "slow_call_duration": 1.0, "slow_call_rate": 0.5}
    breaker = made(clock, window="count", **named)
    guarded = breaker(lambda seconds: setattr(clock, "now", clock.now + seconds))
    for seconds in (0.1,) * 6 + (1.5,):
        guarded(seconds)
    assert breaker.state is State.CLOSED
    guarded(1.5)
    assert breaker.state is State.OPEN


# --- by hand --------------------------------------------------------------------------------------------


def test_forced_open_lasts_until_its_end_or_a_reset() -> None:
    clock = Clock()
    breaker = made(clock)
    breaker.force_open(seconds=30)
    clock.now += 10
    error = refused(breaker)
    assert (error.state, error.retry_after) == ("forced_open", pytest.approx(20))
    clock.now += 20
    assert breaker.call(ok) == 1
    breaker.force_open()
    clock.now += 10_000
    assert refused(breaker).retry_after > 0
    breaker.reset()
    assert breaker.call(ok) == 1


def test_disabled_lets_everything_through_and_counts_nothing() -> None:
    breaker = made()
    breaker.disable()
    failing(breaker, 10)
    assert breaker.state is State.DISABLED
    breaker.reset()
    failing(breaker, 2)
    assert breaker.state is State.CLOSED


def test_metrics_only_tells_that_it_would_have_opened() -> None:
    heard: list[Change] = []
    breaker = made()
    breaker.listen(heard.append)
    breaker.metrics_only()
    heard.clear()
    failing(breaker, 6)
    assert [(change.after, change.shadow) for change in heard] == [(State.OPEN, True)] * 2
    assert breaker.state is State.METRICS_ONLY


def test_trip_opens_by_hand() -> None:
    breaker = made()
    breaker.trip()
    assert refused(breaker).retry_after == pytest.approx(10)


# --- listeners ------------------------------------------------------------------------------------------


def test_listeners_hear_every_change_and_may_use_the_breaker() -> None:
    clock = Clock()
    heard: list[tuple[str, str, State]] = []
    breaker = made(clock, success_threshold=1)

    @breaker.listen
    def hear(change: Change) -> None:
        # Would wait for ever if a lock were held now; from another thread, so that none is the owner.
        seen: list[State] = []
        thread = threading.Thread(target=lambda: seen.append(breaker.state))
        thread.start()
        thread.join(30)
        heard.append((change.before, change.after, seen[0]))
        raise RuntimeError("a listener that fails harms nobody")

    failing(breaker, 3)
    clock.now += 10
    breaker.call(ok)
    assert heard == [
        ("closed", "open", State.OPEN),
        ("open", "half_open", State.HALF_OPEN),
        ("half_open", "closed", State.CLOSED),
    ]


# --- ways to call ---------------------------------------------------------------------------------------


def test_context_managers_nest_and_count() -> None:
    one, two = made(failure_threshold=1), made(failure_threshold=1)
    with pytest.raises(Down), one, two, one:
        fail()
    assert one.state is State.OPEN
    assert two.state is State.OPEN
    with pytest.raises(CircuitOpenError), one:
        raise AssertionError("not reached")


def test_methods_and_keywords_come_through() -> None:
    breaker = made()

    class Client:
        @breaker
        def get(self, path: str, *, limit: int = 1) -> tuple[str, int]:
            """Gets."""
            return path, limit

    assert Client().get("/", limit=3) == ("/", 3)
    assert Client.get.__doc__ == "Gets."


def test_it_may_stand_above_classmethod_and_staticmethod() -> None:
    breaker = made(failure_threshold=1)

    class Shop:
        @breaker
        @classmethod
        def name(cls) -> str:
            return cls.__name__

        @breaker
        @staticmethod
        def down() -> None:
            raise Down("down")

    assert Shop.name() == Shop().name() == "Shop"
    with pytest.raises(Down):
        Shop.down()
    with pytest.raises(CircuitOpenError):
        Shop.name()


def test_what_could_never_hear_is_no_listener() -> None:
    async def deaf(change: Change) -> None: ...

    for wrong in (deaf, 5):
        with pytest.raises(TypeError, match="listener"):
            CircuitBreaker("db", listeners=[wrong])  # type: ignore[list-item]
        with pytest.raises(TypeError, match="listener"):
            CircuitBreaker("db").listen(wrong)  # type: ignore[arg-type]


def test_generators_are_one_call_to_their_end() -> None:
    breaker = made(failure_threshold=1)

    @breaker
    def count(broken: bool) -> Iterator[int]:
        yield 1
        if broken:
            raise Down
        yield 2

    assert list(count(False)) == [1, 2]
    for item in count(True):
        assert item == 1
        break
    gc.collect()
    assert breaker.state is State.CLOSED
    with pytest.raises(Down):
        list(count(True))
    assert breaker.state is State.OPEN
    with pytest.raises(CircuitOpenError):
        next(count(False))


def test_a_generator_that_is_called_by_hand_is_guarded_as_well() -> None:
    def items() -> Iterator[int]:
        yield 1
        fail()

    async def later() -> AsyncIterator[int]:
        yield 1
        fail()

    async def taken(breaker: CircuitBreaker) -> None:
        async for _ in breaker.call(later):
            pass

    for clock in (None, time.monotonic):  # with every call timed, and the quick way
        config = CircuitBreakerConfig(failure_threshold=2, recovery_timeout=300)
        breaker = CircuitBreaker("db", config, clock=clock or Clock())
        with pytest.raises(Down):
            list(breaker.call(items))
        with pytest.raises(Down):
            asyncio.run(taken(breaker))
        assert breaker.state is State.OPEN
        begun = breaker.call(items)  # not refused before it is asked for something
        with pytest.raises(CircuitOpenError):
            next(begun)
        assert list(made().call(iter, [1, 2])) == [1, 2]


def test_what_is_sent_and_thrown_into_a_generator_arrives() -> None:
    breaker = made(failure_threshold=1)

    @breaker
    def echo() -> Any:
        got: Any = "first"
        while got != "end":
            try:
                got = yield got
            except KeyError:
                got = "caught"
        return "value"

    generator = echo()
    assert next(generator) == "first"
    assert generator.send("second") == "second"
    assert generator.throw(KeyError()) == "caught"
    with pytest.raises(StopIteration) as stop:
        generator.send("end")
    assert stop.value.value == "value"
    thrown = echo()
    next(thrown)
    with pytest.raises(Down):
        thrown.throw(Down())
    assert breaker.state is State.CLOSED


def test_threads_lose_no_failure() -> None:
    breaker = made(failure_threshold=8 * 500)

    def work() -> None:
        for _ in range(500):
            with suppress(Down):
                breaker.call(fail)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert breaker.state is State.OPEN
    assert breaker.failed == 8 * 500


def test_calls_of_threads_run_beside_each_other_and_probes_are_bounded() -> None:
    clock = Clock()
    breaker = made(clock, success_threshold=2)
    together = threading.Barrier(4)
    threads = [threading.Thread(target=lambda: breaker.call(together.wait, 30)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not together.broken
    failing(breaker, 3)
    clock.now += 10
    inside, refusals, go = [], [], threading.Event()

    def probe() -> None:
        try:
            breaker.call(lambda: (inside.append(1), go.wait(30)))
        except CircuitOpenError:
            refusals.append(1)

    probes = [threading.Thread(target=probe) for _ in range(16)]
    for thread in probes:
        thread.start()
    deadline = time.monotonic() + 30
    while len(refusals) < 14 and time.monotonic() < deadline:
        time.sleep(0.01)
    go.set()
    for thread in probes:
        thread.join(60)
    assert (len(inside), len(refusals)) == (2, 14)
    assert breaker.state is State.CLOSED
