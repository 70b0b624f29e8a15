"""Deadlines of calls without a timer for each: a thread looks now and then at what is in flight.

A timer, or just asking asyncio for the current task, costs more than the whole breaker. So a call only notes
itself in its breaker's ``in_flight``; the thread beats sixteen times within the shortest deadline, remembers
since when it has seen each call, and interrupts what is overdue in its own event loop, by cancelling the
future that its coroutine waits for, which is what `asyncio.Task.cancel` does. A call that waits for nothing
and only lets others run in between is interrupted through its task. So a call gets its whole deadline, and
an eighth more at most.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Protocol

BEATS = 16
SHORTEST_BEAT, LONGEST_BEAT = 0.002, 2.0
MAX_DEPTH = 1000

Call = Coroutine[Any, Any, Any]
InFlight = dict[Call, int]


class Timed(Protocol):
    """What has calls with a deadline (seconds)."""

    deadline: float
    in_flight: InFlight

    def interrupt(self, call: Call, future: asyncio.Future[Any]) -> None: ...

    def interrupt_task(self, call: Call, task: asyncio.Task[Any]) -> None: ...

    def after_fork(self) -> None: ...


class Pulse:
    """``now``: monotonic seconds of the last beat; the same object until the next."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.beat = LONGEST_BEAT
        self._watched: weakref.WeakSet[Any] = weakref.WeakSet()
        self._all: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def know(self, timed: Timed) -> None:
        """It will be told of a fork."""
        with self._lock:
            self._all.add(timed)

    def watch(self, timed: Timed) -> None:
        """From its first call on; a process that only imports gets no thread."""
        with self._lock:
            self._watched.add(timed)
            beat = min(max(timed.deadline / BEATS, SHORTEST_BEAT), LONGEST_BEAT)
            if self._thread is None:
                self.now, self.beat = time.monotonic(), beat
                self._changed = threading.Event()
                self._thread = threading.Thread(target=self._run, name="oatie-deadlines", daemon=True)
                self._thread.start()
            elif beat < self.beat:
                self.beat = beat
                self._changed.set()

    def _run(self) -> None:
        changed = self._changed
        seen: dict[Call, float] = {}
        while True:
            changed.wait(self.beat)
            changed.clear()
            self.now = now = time.monotonic()
            with self._lock:
                watched = list(self._watched)
                deadlines = [timed.deadline for timed in watched]
                self.beat = min(max(min(deadlines, default=1e9) / BEATS, SHORTEST_BEAT), LONGEST_BEAT)
            before, seen = seen, {}
            for timed in watched:
                for call in _copied(timed.in_flight):
                    seen[call] = since = before.get(call, now)
                    if now - since >= timed.deadline:
                        _interrupt(timed, call)
            del before, watched[:]

    def after_fork(self) -> None:
        """In the child no thread runs and no lock is held by anybody."""
        self._lock = threading.Lock()
        self._thread = None
        self._watched = weakref.WeakSet()
        for timed in list(self._all):
            timed.after_fork()


def _copied(in_flight: InFlight) -> list[Call]:
    while True:
        try:
            return list(in_flight)
        except RuntimeError:  # changed meanwhile, which is over in a moment
            continue


def _interrupt(timed: Timed, call: Call) -> None:
    waits_for = awaited_future(call)
    task = _task_of(call) if waits_for is None and yields(call) else None
    target = waits_for if task is None else task
    if target is None or target.done():
        return  # it runs just now; the next beat sees it again

    def in_its_loop() -> None:
        if call not in timed.in_flight:
            return
        now_waits_for = awaited_future(call)
        if now_waits_for is not None:
            timed.interrupt(call, now_waits_for)
        elif task is not None:
            timed.interrupt_task(call, task)

    try:
        target.get_loop().call_soon_threadsafe(in_its_loop)
    except RuntimeError:
        timed.in_flight.pop(call, None)  # its loop is closed: it will never end


def yields(call: Any) -> bool:
    """Whether this coroutine is suspended, and not run just now by a thread."""
    return not call.cr_running and call.cr_frame is not None and call.cr_await is not None


def _task_of(call: Call) -> asyncio.Task[Any] | None:
    """Nothing leads from a coroutine to its task, so all tasks are looked through: for the rare call that is
    overdue and waits for no future."""
    tasks = (found for found in gc.get_objects() if isinstance(found, asyncio.Task) and not found.done())
    return next((task for task in tasks if _drives(task.get_coro(), call)), None)


def _drives(outer: object, call: Call) -> bool:
    for _ in range(MAX_DEPTH):
        if outer is call:
            return True
        if isinstance(outer, CoroutineType):
            outer = outer.cr_await
        elif isinstance(outer, GeneratorType):
            outer = outer.gi_yieldfrom
        elif outer is None or isinstance(outer, asyncio.Future):
            return False
        else:
            outer = _within(outer)
    return False


def awaited_future(call: object) -> asyncio.Future[Any] | None:
    """What a suspended coroutine waits for in the end. None where it runs, or waits for something else."""
    waits_for: object = call
    for _ in range(MAX_DEPTH):
        if isinstance(waits_for, asyncio.Future):
            return waits_for
        if isinstance(waits_for, CoroutineType):
            waits_for = waits_for.cr_await
        elif isinstance(waits_for, AsyncGeneratorType):
            waits_for = waits_for.ag_await
        elif isinstance(waits_for, GeneratorType):
            waits_for = waits_for.gi_yieldfrom
        elif waits_for is None:
            return None
        else:
            waits_for = _within(waits_for)
    return None


_STEPS: tuple[Callable[[object], bool], ...] = (
    lambda part: isinstance(part, asyncio.Future),
    lambda part: isinstance(part, CoroutineType | AsyncGeneratorType | GeneratorType),
)


def _within(opaque: object) -> object:
    """The iterators of C (of a future, of one step of an async generator) do not name what they drive."""
    found = gc.get_referents(opaque)
    return next((part for step in _STEPS for part in found if step(part)), None)


pulse = Pulse()
os.register_at_fork(after_in_child=pulse.after_fork)
