"""How much a circuit breaker costs a call: ``python -m tests.benchmarks.bench_breaker``.

All breakers in turn, many rounds, so that a slow moment of the machine meets all of them; printed are the
medians and the best rounds in ns per call (with the bare call), and how many times longer each peer takes.
Peers that are not installed are left out; ``pip install -e .[bench]`` brings them.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from oatie_ops.error_recovery import CircuitBreaker, CircuitBreakerConfig, CircuitOpenError

ROUNDS, CALLS = 25, 2000
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


def peers() -> tuple[dict[str, Sync], dict[str, Async], dict[str, Sync]]:
    sync: dict[str, Sync] = {}
    asynchronous: dict[str, Async] = {}
    refused: dict[str, Sync] = {}
    for add in (_circuitbreaker, _pybreaker, _aiobreaker, _purgatory, _interlock):
        with suppress(ImportError):
            add(sync, asynchronous, refused)
    return sync, asynchronous, refused


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


def measure(functions: dict[str, Sync], rounds: int = ROUNDS) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            began = time.perf_counter_ns()
            for _ in range(CALLS):
                function()
            found[name].append((time.perf_counter_ns() - began) / CALLS)
    return found


async def measure_async(functions: dict[str, Async], rounds: int = ROUNDS) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            began = time.perf_counter_ns()
            for _ in range(CALLS):
                await function()
            found[name].append((time.perf_counter_ns() - began) / CALLS)
    return found


def show(title: str, found: dict[str, list[float]], limits: dict[str, float]) -> bool:
    """Whether every limit on the added ns holds in the best round, and the ratio to the fastest peer."""
    base, mine = found["bare"], found["oatie"]
    print(f"\n{title:<32} median    best   added   oatie is … times as fast")
    for name, times in found.items():
        added = min(times) - min(base)
        limit = limits.get(name)
        word = "met" if limit is None or added <= limit else "MISSED"
        verdict = "" if limit is None else f"  (added at most {limit}: {word})"
        # Round by round, so that both numbers come from the same moment.
        ratio = median(theirs / own for theirs, own in zip(times, mine, strict=True))
        print(f"{name:<32} {median(times):6.0f}  {min(times):6.0f}  {added:6.0f}   {ratio:5.2f}{verdict}")
    rivals = {name: times for name, times in found.items() if name != "bare" and not name.startswith("oatie")}
    held = all(min(found[name]) - min(base) <= limit for name, limit in limits.items())
    if not rivals:
        return held
    fastest = min(rivals, key=lambda name: median(rivals[name]))
    ratio = median(theirs / own for theirs, own in zip(rivals[fastest], mine, strict=True))
    print(f"the fastest peer ({fastest}) takes {ratio:.2f} times as long (wanted: {RATIO})")
    return held and ratio >= RATIO


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        mine, mine_async, mine_open = ours(Path(directory))
        theirs, theirs_async, theirs_open = peers()
        windows = {name: ADDED_WINDOW for name in mine if "window" in name}
        closed = {"oatie": ADDED_CLOSED, "oatie, shared by the host": ADDED_CLOSED, **windows}
        held = [
            show("closed, sync", measure({"bare": bare, **mine, **theirs}), closed),
            show(
                "closed, async",
                asyncio.run(measure_async({"bare": bare_async, **mine_async, **theirs_async})),
                closed,
            ),
        ]
        rejections = measure({"bare": rejecting(raising, ConnectionError), **mine_open, **theirs_open})
        show("open, rejected (bare: raise)", rejections, {})
        fast = min(rejections["oatie"]) <= REJECTION
        print(f"a rejection takes at most {REJECTION} ns: {'met' if fast else 'MISSED'}")
    return 0 if all(held) and fast else 1


if __name__ == "__main__":
    sys.exit(main())
