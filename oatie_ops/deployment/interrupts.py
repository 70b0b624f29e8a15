"""SIGINT, SIGTERM and SIGHUP during a run: the first turns back, the second leaves at once.

A signal becomes an `Interrupted` only inside `armed` work (the `do` of a step); anywhere else, and in
`held_back` pieces of it, it is remembered and raised by the next `check`. So bookkeeping, printing and
undoing are never cut in half. Past the commit point there is nothing to turn back to.

It may be raised where a library, a finalizer or a piece of work that bears the failure of an attempt catches
everything; then the end of the armed work raises it again.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any, ClassVar

from oatie_ops.errors import Interrupted
from oatie_ops.exit_codes import ExitCode

# A terminal that is gone ends a run as SIGTERM does.
EXIT_CODES = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.TERMINATED,
}


class Interrupts:
    """Installs its handlers while it is entered; only for the main thread.

    ``on_second`` runs in the signal handler, right before the quick exit; it may use no buffered stream.
    """

    current: ClassVar[Interrupts | None] = None  # one at a time: signals are the process's

    def __init__(self, on_second: Callable[[ExitCode], None] = lambda code: None) -> None:
        self.on_second = on_second
        self._received: signal.Signals | None = None
        self._armed = False
        self._raised: Interrupted | None = None
        self._spent = False  # raised once, or nothing left to turn back to
        self._late = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in EXIT_CODES:
            if signal.getsignal(number) is signal.SIG_IGN:  # as nohup(1) and shells in the background want it
                continue
            self._previous[number] = signal.signal(number, self._receive)
        Interrupts.current = self
        return self

    def __exit__(self, *_: object) -> None:
        Interrupts.current = None
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises what arrived meanwhile; at most once in a run."""
        if self._received is not None and not self._spent:
            self._spent = True
            self._raised = _interrupted(self._received)
            raise self._raised

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Work that a signal may cut off anywhere."""
        self.check()
        self._armed = True
        try:
            yield
        except Interrupted:
            raise
        except Exception as failure:
            if self._raised is not None:
                raise self._raised from failure
            raise
        else:
            if self._raised is not None:
                raise self._raised
        finally:
            self._armed = False

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """A short piece of armed work that must not be cut in half."""
        was_armed, self._armed = self._armed, False
        try:
            yield
        finally:
            self._armed = was_armed
        if was_armed:
            self.check()

    def turn_back(self) -> None:
        """From here on everything is being undone: a first signal changes nothing."""
        self._spent = True

    def too_late(self) -> None:
        """The commit point has been passed."""
        self._spent = self._late = True

    @property
    def came_too_late(self) -> bool:
        """Was there a signal that could not turn anything back any more?"""
        return self._late and self._received is not None

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        again = self._received is not None
        self._received = signal.Signals(number)
        if again:
            code = EXIT_CODES[self._received]
            self.on_second(code)
            os._exit(code)
        if self._armed:
            self.check()


def held_back() -> AbstractContextManager[None]:
    """As `Interrupts.held_back`, for what may be called outside of a run, too."""
    return nullcontext() if Interrupts.current is None else Interrupts.current.held_back()


def _interrupted(number: signal.Signals) -> Interrupted:
    verb = "interrupted" if number is signal.SIGINT else "terminated"
    return Interrupted(f"{verb} by {number.name}", exit_code=EXIT_CODES[number])
