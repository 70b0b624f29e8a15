"""The breaker's machinery: admits calls, takes their outcomes, moves the circuit. No lock is held while a
call runs or a listener is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from oatie_ops.recovery.breaker import gate, opened, outcome
from oatie_ops.recovery.breaker import half_open as half
from oatie_ops.recovery.breaker.cell import make_cell
from oatie_ops.recovery.breaker.closed import window_of
from oatie_ops.recovery.breaker.config import CircuitBreakerConfig, Outcome
from oatie_ops.recovery.breaker.events import Listener, tell_move, tell_shadow
from oatie_ops.recovery.breaker.gate import Permit
from oatie_ops.recovery.breaker.overdue import OVERDUE, OVERDUE_BY_TASK
from oatie_ops.recovery.breaker.pulse import pulse
from oatie_ops.recovery.breaker.rejection import CircuitOpenError
from oatie_ops.recovery.breaker.state import NORMAL, Circuit, State

# Equal to no word of a circuit, and to no mark of `oatie_ops.recovery.breaker.overdue`.
NEVER = -1


class Core:
    """``adopted`` is the word of the circuit that is closed and that this process counts for; ``quick`` is
    the same where a call needs no clock; ``shut`` is that of an open one, until ``shut_until``. ``noting``: a
    success changes something. ``in_flight``: async calls with a deadline."""

    __slots__ = (
        "__weakref__",
        "_cell",
        "_listeners",
        "_lock",
        "_random",
        "_window",
        "adopted",
        "calm_up_to",
        "clock",
        "config",
        "count",
        "deadline",
        "failed",
        "in_flight",
        "name",
        "noting",
        "quick",
        "rejected",
        "shut",
        "shut_until",
        "slow_from",
        "timed",
        "words",
    )

    def __init__(
        self,
        name: str,
        config: CircuitBreakerConfig,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        shared: Path | None,
        listeners: Iterable[Listener],
    ) -> None:
        self.name = name
        self.config = config
        self.deadline = float("inf") if config.timeout is None else config.timeout
        self.slow_from = float("inf") if config.slow_call_duration is None else config.slow_call_duration
        # A call that took no longer is neither slow nor late.
        self.calm_up_to = min(self.slow_from, self.deadline)
        self.count = 0
        self.noting = False
        self.failed = 0
        self.rejected = 0
        self.in_flight: dict[Coroutine[Any, Any, Any], int] = {}
        self.clock = clock
        self._random = random
        self._listeners = tuple(listeners)
        self._lock = threading.Lock()
        self._window = window_of(config)
        self._cell = make_cell(name, shared)
        self.words = self._cell.words
        self.adopted = self.quick = self.shut = NEVER
        self.shut_until = 0.0
        self.timed = (
            config.window == "time"
            or config.slow_call_duration is not None
            or config.result_predicate is not None
            or clock is not time.monotonic
        )
        pulse.know(self)

    # --- a call -----------------------------------------------------------------------------------------

    def admit(self) -> Permit:
        """Raises `CircuitOpenError`."""
        word = self.words[0]
        now = self.clock()
        if word == self.adopted:
            return Permit(word, gate.COUNTED, now)
        if word == self.shut and (left := self.shut_until - now) > 0:
            self.rejected += 1
            raise CircuitOpenError(self.name, left, "open")
        with self._cell:
            before = self._cell.read()
            verdict = gate.admit(before, self.config, now)
            circuit = verdict.circuit
            if circuit is not before:
                self._cell.write(circuit)
        self._moved(before, circuit)
        if circuit.word != self.adopted and circuit.state is State.CLOSED:
            self._adopt(circuit)
        if verdict.refused is not None:
            self.rejected += 1
            if verdict.refused is State.OPEN:
                self._close_door(circuit)
            raise CircuitOpenError(self.name, verdict.retry_after, verdict.refused.value)
        return Permit(circuit.word, verdict.token, now)

    def _close_door(self, circuit: Circuit) -> None:
        """What is rejected from now on is rejected without a lock."""
        self.shut_until = circuit.open_until
        self.shut = circuit.word

    def settle(self, permit: Permit, result: Outcome, error: BaseException | None = None) -> None:
        """The end of an admitted call. One that was let in under another circuit changes nothing."""
        word, token, began = permit
        if token == gate.UNCOUNTED:
            return
        now = self.clock()
        if result is Outcome.SUCCESS and now - began > self.deadline:
            result = Outcome.FAILURE
        if token == gate.COUNTED:
            self._count(word, result, now - began, now, error)
            return
        with self._cell:
            before = self._cell.read()
            if before.generation != word >> 8 or before.state is not State.HALF_OPEN:
                return
            circuit = half.settle(before, token, result, self.config, now, self._random)
            self._cell.write(circuit)
        self.failed += result is Outcome.FAILURE
        self._moved(before, circuit, error)
        if circuit.state is State.OPEN:
            self._close_door(circuit)
        if circuit.state is State.CLOSED:
            self._adopt(circuit)

    def raised(self, word: int, error: BaseException) -> None:
        """The end of a quick call by an exception."""
        result = outcome.of_exception(error, self.config)
        if result is not Outcome.IGNORED:
            self._count(word, result, 0.0, self.clock(), error)

    def returned(self, word: int, since: float | None = None) -> None:
        """The end of a quick call by a result: the count of failures begins anew.

        ``since``: the last beat before the call, where there was a beat during it. A call that certainly
        took longer than its deadline counts as a failure.
        """
        now = time.monotonic()
        late = since is not None and now - since - pulse.beat > self.deadline
        self._count(word, Outcome.FAILURE if late else Outcome.SUCCESS, 0.0, now, None)

    def passed(self, word: int, seconds: float, now: float) -> None:
        """The end of a timed call by a result that nobody judges."""
        window = self._window
        if seconds > self.calm_up_to or window is None:
            late = seconds > self.deadline
            if late or self.noting or seconds > self.slow_from:
                self._count(word, Outcome.FAILURE if late else Outcome.SUCCESS, seconds, now, None)
            return
        if word != self.words[0] or window.calmly(now):
            return
        with self._lock:
            if word != self.words[0] or not window.add(False, False, now):
                return
        self._trip(word, now, None)

    def count_failure(self, word: int, error: BaseException) -> None:
        """Of a call that was interrupted, whatever the configuration ignores."""
        self._count(word, Outcome.FAILURE, self.deadline, self.clock(), error)

    def now(self) -> float:
        """Seconds of the breaker's clock."""
        return self.clock()

    def _count(
        self, word: int, result: Outcome, seconds: float, now: float, error: BaseException | None
    ) -> None:
        if result is Outcome.IGNORED:
            return
        failed = result is Outcome.FAILURE
        config = self.config
        with self._lock:
            if word != self.words[0]:
                return
            if self._window is not None:
                too_many = self._window.add(failed, seconds > self.slow_from, now)
                self.noting = not self._window.idle
            else:
                self.count = self.count + 1 if failed else 0
                self.noting = failed
                too_many = self.count >= config.failure_threshold
            self.failed += failed
        if too_many:
            self._trip(word, now, error)

    def _trip(self, word: int, now: float, error: BaseException | None) -> None:
        with self._cell:
            before = self._cell.read()
            if before.word != word:
                return
            circuit = opened.trip(before, self.config, now, self._random)
            if before.mode is NORMAL:
                self._cell.write(circuit)
        if before.mode is NORMAL:
            self._close_door(circuit)
            self._moved(before, circuit, error)
        else:
            self._forget_counts()
            tell_shadow(self._listeners, self.name, error)

    def _adopt(self, circuit: Circuit) -> None:
        """Closed (again): counting begins anew, and calls may take the quick way."""
        with self._lock:
            # In a mode every call comes by here, and what was counted must stay; so it must where another
            # thread was faster.
            if circuit.word == self.adopted or circuit.word != self.words[0]:
                return
            if circuit.mode is not NORMAL:
                return
            self._clear()
            self.adopted = circuit.word
            if not self.timed:
                self.quick = circuit.word
        if self.config.timeout is not None:
            pulse.watch(self)

    def _forget_counts(self) -> None:
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self.count = 0
        self.noting = self._window is not None
        if self._window is not None:
            self._window.clear()

    def _moved(self, before: Circuit, after: Circuit, error: BaseException | None = None) -> None:
        if self._listeners:
            tell_move(self._listeners, self.name, before, after, self.clock(), error)

    def move(self, change: Callable[[Circuit], Circuit]) -> None:
        """By hand."""
        with self._cell:
            before = self._cell.read()
            circuit = change(before)
            self._cell.write(circuit)
        self._moved(before, circuit)
        self._forget_counts()

    def circuit(self) -> Circuit:
        """Its state, mode and times as they are now, in all processes that share it."""
        return self._cell.peek()

    # --- deadlines and forks ----------------------------------------------------------------------------

    def interrupt(self, call: Coroutine[Any, Any, Any], future: asyncio.Future[Any]) -> None:
        """In the event loop of an overdue call, which waits for ``future``."""
        if future.cancel():
            self.in_flight[call] = OVERDUE

    def interrupt_task(self, call: Coroutine[Any, Any, Any], task: asyncio.Task[Any]) -> None:
        """The same for one that waits for nothing."""
        if self.in_flight[call] != OVERDUE_BY_TASK and task.cancel():
            self.in_flight[call] = OVERDUE_BY_TASK

    def after_fork(self) -> None:
        """In the child: whoever held a lock was not taken along."""
        self._lock = threading.Lock()
        self._cell.after_fork()
        self.words = self._cell.words
        self.in_flight = {}  # those of the parent, and no coroutine of its may be touched here
        # The first call finds its way anew and starts the thread that keeps deadlines.
        self.adopted = self.quick = self.shut = NEVER
