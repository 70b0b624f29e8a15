"""`CircuitBreaker`: sheds calls to a service that fails, and finds out when it works again."""

from __future__ import annotations

import os
import random as random_numbers
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from oatie_ops.recovery.breaker import calls, gate, opened, streams
from oatie_ops.recovery.breaker import half_open as half
from oatie_ops.recovery.breaker.config import CircuitBreakerConfig
from oatie_ops.recovery.breaker.core import Core
from oatie_ops.recovery.breaker.events import Listener, checked
from oatie_ops.recovery.breaker.gate import Permit
from oatie_ops.recovery.breaker.guard import Guard, ended, entered, leave
from oatie_ops.recovery.breaker.pulse import pulse
from oatie_ops.recovery.breaker.state import NORMAL, Circuit, State

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])
# Results that stand for a call which is still to come.
_LATER = frozenset({CoroutineType, GeneratorType, AsyncGeneratorType})


class CircuitBreaker(Core):
    """For one service; any number of threads, tasks and, with ``shared``, processes may use it.

    ``name`` is the service's, in errors and events. ``clock`` gives seconds and never steps; ``random`` gives
    numbers from 0 to 1. ``shared``: a file through which all processes of this host open, probe and close as
    one. ``listeners`` are told of changes of state.

    Use it as a decorator (``@breaker``) of functions, async functions, generators and async generators, by
    ``breaker.call(function, …)``, or around a block: ``with breaker:``, ``async with breaker:``. A call that
    is not let through raises `CircuitOpenError` with ``retry_after``. What the service raises comes through
    as it is.
    """

    __slots__ = ()

    def __init__(
        self,
        name: str | CircuitBreakerConfig = "",
        config: CircuitBreakerConfig | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_numbers.random,
        shared: str | os.PathLike[str] | None = None,
        listeners: Iterable[Listener] = (),
    ) -> None:
        given = name if isinstance(name, CircuitBreakerConfig) else config
        if given is name and config is not None:
            raise TypeError("the configuration was given twice")
        super().__init__(
            name if isinstance(name, str) else "",
            given or CircuitBreakerConfig(),
            clock=clock,
            random=random,
            shared=None if shared is None else Path(shared),
            listeners=checked(listeners),
        )

    # --- calling ----------------------------------------------------------------------------------------

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls it. An async function gives its coroutine, which is admitted when it is awaited; a generator
        is admitted when its first item is asked for."""
        word = self.words[0]
        if word == self.quick:
            since = pulse.now
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self.raised(word, error)
                raise
            if self.noting or pulse.now is not since or result.__class__ in _LATER:
                made = streams.begun(self, function, result)
                return cast(R, made if made is not result else calls.returned(self, word, since, result))
            return result
        # What comes later is admitted later, and only then.
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            return cast(R, streams.begun(self, function, function(*args, **kwargs)))
        whole = calls.whole_async if iscoroutinefunction(function) else calls.whole
        return cast(R, whole(self, function, args, kwargs))

    async def call_async(
        self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Awaits whatever it gives: a coroutine, a task, a future."""
        return cast(R, await calls.whole_async(self, function, args, kwargs))

    def __call__(self, function: F) -> F:
        """Decorates it; what comes out is of the same kind and signature."""
        if isinstance(function, classmethod | staticmethod):  # it stands above that decorator
            return cast(F, type(function)(self(function.__func__)))
        kind: Any = function
        while isinstance(kind, partial):
            kind = kind.func
        if not hasattr(kind, "__code__"):
            kind = getattr(kind, "__call__", kind)  # noqa: B004 - an object that can be called
        wrapper: Any = calls.timed if self.timed else calls.plain
        if isasyncgenfunction(kind):
            wrapper = streams.async_generator
        elif isgeneratorfunction(kind):
            wrapper = streams.generator
        elif iscoroutinefunction(kind):
            wrapper = calls.timed_async if self.timed else calls.asynchronous
        return cast(F, wrapper(self, function))

    def guard(self) -> Guard:
        """For one block; the one to take within generators."""
        return Guard(self)

    def __enter__(self) -> Self:
        word = self.words[0]
        entered.set((self, word if word == self.quick else self.admit(), entered.get()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        permit = leave(self)
        if permit.__class__ is int and error is None and not self.noting:
            return
        if isinstance(permit, int | Permit):
            ended(self, permit, error)

    async def __aenter__(self) -> Self:
        guard = await Guard(self).__aenter__()
        entered.set((self, guard, entered.get()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        guard = leave(self)
        if isinstance(guard, Guard):
            await guard.__aexit__(kind, error, trace)

    # --- looking ----------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What the next call would meet: an open breaker whose time is over says half-open."""
        return gate.shown(self.circuit(), self.config, self.now())

    @property
    def retry_after(self) -> float:
        """Seconds until a call may pass; 0 while it is not open."""
        if self.state not in (State.OPEN, State.FORCED_OPEN):
            return 0.0
        return gate.admit(self.circuit(), self.config, self.now()).retry_after

    @property
    def failure_count(self) -> int:
        """Failures in a row, or in the window; of this process."""
        return self.count if self._window is None else self._window.failures

    def __repr__(self) -> str:
        return f"CircuitBreaker({self.name!r}, {self.state.value})"

    # --- by hand ----------------------------------------------------------------------------------------

    def trip(self) -> None:
        """Opens it as failures would."""
        self.move(lambda circuit: opened.trip(_freed(circuit), self.config, self.now(), self._random))

    def reset(self) -> None:
        """Closes it, ends any mode, and forgets what was counted."""
        self.move(lambda circuit: half.close(_freed(circuit)))

    def force_open(self, seconds: float | None = None) -> None:
        """Rejects every call until `reset`, or for so long."""
        self._set_mode(State.FORCED_OPEN, seconds)

    def disable(self, seconds: float | None = None) -> None:
        """Lets every call through and counts nothing until `reset`, or for so long."""
        self._set_mode(State.DISABLED, seconds)

    def metrics_only(self, seconds: float | None = None) -> None:
        """Lets every call through and counts; listeners hear when it would have opened (``shadow``)."""
        self._set_mode(State.METRICS_ONLY, seconds)

    def _set_mode(self, mode: State, seconds: float | None) -> None:
        if seconds is not None and not seconds > 0:
            raise ValueError("seconds must be more than 0, or None")
        until = 0.0 if seconds is None else self.now() + seconds
        self.move(lambda circuit: replace(half.close(circuit), mode=mode, mode_until=until))

    def listen(self, listener: Listener) -> Listener:
        """Adds a listener; as a decorator, too. Raises `TypeError` for what cannot be one."""
        self._listeners = (*self._listeners, *checked((listener,)))
        return listener


def _freed(circuit: Circuit) -> Circuit:
    return replace(circuit, mode=NORMAL, mode_until=0.0)
