"""How much a circuit breaker costs a call.

All breakers in turn, many rounds, so that a slow moment of the machine meets all of them. What is promised
is held against the best round: what a call costs when nothing else has the processor.
"""

from __future__ import annotations

import asyncio
import importlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from oatie_ops.error_recovery import CircuitBreaker, CircuitBreakerConfig, CircuitOpenError
from tests.benchmarks.measuring import Rounds
from tests.benchmarks.report import OURS, Figure, Options, Report

ROUNDS, QUICK_ROUNDS, CALLS = 25, 9, 2000
ADDED_CLOSED, ADDED_WINDOW, REJECTION, RATIO = 250, 600, 1200, 2.5

Sync = Callable[[], Any]
Async = Callable[[], Awaitable[Any]]


def bare() -> int:
    return 1


async def bare_async() -> int:
    return 1


def fail() -> None:
    raise ConnectionError


def rejecting(function: Sync, error: type[BaseException]) -> Sync:
    def call() -> None:
        try:
            function()
        except error:
            return
        raise AssertionError("it was let through")

    return call


def raising() -> None:
    raise ConnectionError


def ours(directory: Path) -> tuple[dict[str, Sync], dict[str, Async], dict[str, Sync]]:
    def made(**named: Any) -> CircuitBreaker:
        return CircuitBreaker("x", CircuitBreakerConfig(**named))

    shared = CircuitBreaker("x", shared=directory / "x.breaker")
    shapes = {
        "oatie": CircuitBreaker("x"),
        "oatie, shared by the host": shared,
        "oatie, count window": made(window="count"),
        "oatie, time window": made(window="time"),
        "oatie, window and slow calls": made(window="count", slow_call_duration=1.0),
    }
    opened = CircuitBreaker("x")
    opened.trip()
    return (
        {name: breaker(bare) for name, breaker in shapes.items()},
        {name: breaker(bare_async) for name, breaker in shapes.items()},
        {"oatie": rejecting(opened(bare), CircuitOpenError)},
    )


def peers() -> tuple[dict[str, Sync], dict[str, Async], dict[str, Sync], list[tuple[str, str]]]:
    """Their functions behind a closed breaker, and an open one; and who is not installed."""
    sync: dict[str, Sync] = {}
    asynchronous: dict[str, Async] = {}
    refused: dict[str, Sync] = {}
    missing: list[tuple[str, str]] = []
    for add in (_circuitbreaker, _pybreaker, _aiobreaker, _purgatory, _interlock):
        try:
            add(sync, asynchronous, refused)
        except ImportError as error:
            missing.append((add.__name__.strip("_"), str(error)))
    return sync, asynchronous, refused, missing


def _circuitbreaker(sync: dict[str, Sync], asynchronous: dict[str, Async], refused: dict[str, Sync]) -> None:
    module = importlib.import_module("circuitbreaker")
    sync["circuitbreaker"] = module.CircuitBreaker()(bare)
    asynchronous["circuitbreaker"] = module.CircuitBreaker()(bare_async)
    opened = module.CircuitBreaker(failure_threshold=1, recovery_timeout=3600)
    with suppress(ConnectionError):
        opened(fail)()
    refused["circuitbreaker"] = rejecting(opened(bare), module.CircuitBreakerError)


def _pybreaker(sync: dict[str, Sync], _asynchronous: dict[str, Async], refused: dict[str, Sync]) -> None:
    module = importlib.import_module("pybreaker")
    sync["pybreaker"] = module.CircuitBreaker()(bare)
    opened = module.CircuitBreaker()
    opened.open()
    refused["pybreaker"] = rejecting(opened(bare), module.CircuitBreakerError)


def _aiobreaker(sync: dict[str, Sync], asynchronous: dict[str, Async], refused: dict[str, Sync]) -> None:
    module = importlib.import_module("aiobreaker")
    sync["aiobreaker"] = module.CircuitBreaker()(bare)
    asynchronous["aiobreaker"] = module.CircuitBreaker()(bare_async)
    opened = module.CircuitBreaker()
    opened.open()
    refused["aiobreaker"] = rejecting(opened(bare), module.CircuitBreakerError)


def _purgatory(sync: dict[str, Sync], asynchronous: dict[str, Async], _refused: dict[str, Sync]) -> None:
    module = importlib.import_module("purgatory")
    sync["purgatory"] = module.SyncCircuitBreakerFactory()("x")(bare)
    asynchronous["purgatory"] = module.AsyncCircuitBreakerFactory()("x")(bare_async)


def _interlock(sync: dict[str, Sync], asynchronous: dict[str, Async], _refused: dict[str, Sync]) -> None:
    module = importlib.import_module("interlock")
    sync["interlock-cb"] = module.CircuitBreaker(name="x")(bare)
    asynchronous["interlock-cb"] = module.CircuitBreaker(name="y")(bare_async)


def measure(functions: dict[str, Sync], rounds: int = ROUNDS) -> Rounds:
    """Nanoseconds per call."""
    found: Rounds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            began = time.perf_counter_ns()
            for _ in range(CALLS):
                function()
            found[name].append((time.perf_counter_ns() - began) / CALLS)
    return found


async def measure_async(functions: dict[str, Async], rounds: int = ROUNDS) -> Rounds:
    found: Rounds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            began = time.perf_counter_ns()
            for _ in range(CALLS):
                await function()
            found[name].append((time.perf_counter_ns() - began) / CALLS)
    return found


def run(options: Options) -> Report:
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    with tempfile.TemporaryDirectory() as directory:
        mine, mine_async, mine_open = ours(Path(directory))
        theirs, theirs_async, theirs_open, missing = peers()
        limits = {name: float(ADDED_WINDOW if "window" in name else ADDED_CLOSED) for name in mine}
        closed = measure({"bare": bare, **mine, **theirs}, rounds)
        closed_async = asyncio.run(measure_async({"bare": bare_async, **mine_async, **theirs_async}, rounds))
        rejected = measure({"bare": rejecting(raising, ConnectionError), **mine_open, **theirs_open}, rounds)
    figures = [
        *_added("closed breaker, sync", closed, limits),
        *_faster("closed breaker, sync", closed),
        *_added("closed breaker, async", closed_async, limits),
        *_faster("closed breaker, async", closed_async),
        *_whole("open breaker, rejection", rejected),
    ]
    return Report("breakers", "Circuit breakers", tuple(figures), tuple(missing))


def _added(benchmark: str, found: Rounds, limits: Mapping[str, float]) -> Iterator[Figure]:
    """What each adds to the bare call, its best round against the best bare one."""
    base = found["bare"]
    for name, times in found.items():
        if name != "bare":
            usual = median(a - b for a, b in zip(times, base, strict=True))
            yield Figure(
                benchmark,
                name,
                min(times) - min(base),
                "ns added, best round",
                limit=limits.get(name),
                note=f"median {usual:.0f} ns",
            )


def _faster(benchmark: str, found: Rounds) -> Iterator[Figure]:
    rivals = [name for name in found if name != "bare" and not name.startswith(OURS)]
    if rivals:
        fastest = min(rivals, key=lambda name: median(found[name]))
        times = median(theirs / own for theirs, own in zip(found[fastest], found[OURS], strict=True))
        unit = f"x as fast as {fastest}, call included"
        yield Figure(benchmark, OURS, times, unit, limit=RATIO, better="higher", note="the fastest peer")


def _whole(benchmark: str, found: Rounds) -> Iterator[Figure]:
    for name, times in found.items():
        yield Figure(
            benchmark,
            name,
            min(times),
            "ns a call, best round",
            limit=REJECTION if name == OURS else None,
            reference=name == "bare",
            note=f"median {median(times):.0f} ns",
        )
