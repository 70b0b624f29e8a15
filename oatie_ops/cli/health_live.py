"""The live view on a terminal: one thread looks, this one draws and reads keys."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oatie_ops.cli.context import Context
from oatie_ops.cli.health_history import Remembered
from oatie_ops.cli.health_look import Look, Verdict, Wanted, judge, look_once, say_unmet
from oatie_ops.cli.health_text import can_show
from oatie_ops.cli.health_view import Act, View, arrange, decode, press
from oatie_ops.errors import OatieError

if TYPE_CHECKING:
    from rich.console import Console, Group

CLOCK_SECONDS = 1.0
RESTART_TIMEOUT_SECONDS = 10.0
SHAPES = "✓✗▁█→·…"


def live(context: Context, wanted: Wanted) -> Verdict:
    """Until a key, Ctrl-C, or what ``wanted`` says. The last frame stays on the terminal."""
    with _wake_pipe() as (woken, wake):
        looker = Looker(context, wanted, wake)
        looker.start()  # first, so that it asks while the imports below are made
        from rich.console import Console

        watcher = _Watcher(context, wanted, looker, Console(highlight=False, markup=False, emoji=False))
        try:
            with watcher.screen(woken):
                verdict = watcher.run(woken)
        finally:
            looker.stop()
            watcher.leave()
    say_unmet(wanted, watcher.last, verdict)
    return verdict


class Looker(threading.Thread):
    """Looks once an interval, in a thread of its own: a slow answer must not make keys wait."""

    def __init__(self, context: Context, wanted: Wanted, wake: int) -> None:
        super().__init__(name="looker", daemon=True)
        self.found: queue.SimpleQueue[Look | BaseException] = queue.SimpleQueue()
        self._context, self._wanted, self._wake = context, wanted, wake
        self._hurry = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._ended = False

    def run(self) -> None:
        began = time.monotonic()
        while not self._ended:
            self._going.wait()
            asked = time.monotonic()
            try:
                self._tell(look_once(self._context, self._wanted, asked - began))
            except BaseException as error:  # noqa: BLE001 - raised again where it can be shown
                self._tell(error)
                return
            self._hurry.wait(max(0.0, asked + self._wanted.interval_seconds - time.monotonic()))
            self._hurry.clear()

    def pause(self, paused: bool) -> None:
        if paused:
            self._going.clear()
        else:
            self._going.set()

    def look_now(self) -> None:
        self._hurry.set()

    def stop(self) -> None:
        self._ended = True
        self._hurry.set()
        self._going.set()

    def _tell(self, found: Look | BaseException) -> None:
        self.found.put(found)
        with contextlib.suppress(OSError):  # the watch is over
            os.write(self._wake, b"l")


class _Watcher:
    def __init__(self, context: Context, wanted: Wanted, looker: Looker, console: Console) -> None:
        self._context, self._wanted, self._looker, self._console = context, wanted, looker, console
        self._ascii_only = not can_show(SHAPES, sys.stdout)
        self._remembered = Remembered()
        self._view = View()
        self._look: Look | None = None
        self._looks = 0
        self._began = time.monotonic()
        self._drawn: Any = None

    @contextlib.contextmanager
    def screen(self, woken: int) -> Iterator[None]:
        """The alternate screen, keys one by one, and a resize that wakes the loop."""
        from rich.live import Live

        with (
            _single_keys(),
            Live(console=self._console, screen=True, auto_refresh=False, vertical_overflow="crop") as drawn,
        ):
            self._drawn = drawn
            yield

    def run(self, woken: int) -> Verdict:
        keys = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        while True:
            self._drawn.update(self._frame(), refresh=True)
            ready, _, _ = select.select([woken, *([] if keys is None else [keys])], [], [], self._patience())
            if woken in ready:
                os.read(woken, 4096)
            verdict = self._take_looks()
            if verdict is None and keys is not None and keys in ready:
                verdict = self._read_keys(keys)
            if verdict is not None:
                return verdict

    @property
    def last(self) -> Look | None:
        return self._look

    def leave(self) -> None:
        """The last frame, on the normal screen, whole."""
        self._console.print(self._frame(leaving=True))

    def _patience(self) -> float:
        if self._wanted.deadline_seconds is None:
            return CLOCK_SECONDS
        left = self._began + self._wanted.deadline_seconds - time.monotonic()
        return max(0.01, min(CLOCK_SECONDS, left))

    def _take_looks(self) -> Verdict | None:
        while not self._looker.found.empty():
            found = self._looker.found.get()
            if isinstance(found, BaseException):
                raise found
            self._look, self._looks = self._remembered.add(found), self._looks + 1
            verdict = self._judge()
            if verdict is not None:
                return verdict
        return self._judge() if self._wanted.deadline_seconds is not None else None

    def _judge(self) -> Verdict | None:
        status = self._look.status if self._look else "unknown"
        return judge(self._wanted, self._looks, status, time.monotonic() - self._began)

    def _read_keys(self, keys: int) -> Verdict | None:
        data = os.read(keys, 1024)
        if not data:  # the terminal is gone
            return self._status()
        for key in decode(data.decode(errors="replace")):
            self._view, act = press(self._view, key, self._names())
            self._looker.pause(self._view.paused)
            if act is not None and act.kind == "quit":
                return self._status()
            if act is not None:
                self._do(act)
        return None

    def _do(self, act: Act) -> None:
        if act.kind == "restart":
            self._view = replace(self._view, message=self._restart(act.service))
        self._looker.look_now()

    def _restart(self, service: str) -> str:
        from urllib.parse import quote

        from oatie_ops.supervisor.client import ControlClient

        client = ControlClient(self._context.paths.control_socket)
        path = f"/health/services/{quote(service, safe='')}/restart?reason=asked%20in%20health%20--watch"
        try:
            operation = client.call("POST", path, timeout_seconds=RESTART_TIMEOUT_SECONDS)
        except OatieError as error:
            return f"{service} was not restarted: {error.what}{f': {error.why}' if error.why else ''}"
        return f"{service} is being restarted (operation {operation['id']})"

    def _names(self) -> list[str]:
        if self._look is None or self._look.health is None:
            return []
        return arrange(self._look.health["services"], self._view)

    def _status(self) -> str:
        return self._look.status if self._look else "unknown"

    def _frame(self, *, leaving: bool = False) -> Group:
        from rich.console import Group

        from oatie_ops.cli.health_frame import Screen, frame

        columns, lines = self._console.size = _terminal_size() or self._console.size
        screen = Screen(columns, lines, self._ascii_only, self._wanted.interval_seconds)
        return Group(*frame(self._look, self._view, screen, time.time(), leaving=leaving))


def _terminal_size() -> tuple[int, int] | None:
    """Columns and lines of the terminal as it is now; None where the output is none, or has no size.

    Rich would let COLUMNS and LINES of the environment win. Whoever exports those (a CI runner, ``watch``,
    a shell once) wrote down what was so then, and the view would not follow the terminal any more.
    """
    with contextlib.suppress(OSError):  # not a terminal
        size = os.get_terminal_size()
        return (size.columns, size.lines) if size.columns and size.lines else None
    return None


@contextlib.contextmanager
def _wake_pipe() -> Iterator[tuple[int, int]]:
    """Written by the looker and, through the interpreter, by each signal: both end the wait for keys."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    before_fd = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    before = signal.signal(signal.SIGWINCH, lambda _number, _frame: None)
    try:
        yield woken, wake
    finally:
        signal.signal(signal.SIGWINCH, before)
        signal.set_wakeup_fd(before_fd)
        os.close(wake)
        os.close(woken)


@contextlib.contextmanager
def _single_keys() -> Iterator[None]:
    """Keys without Enter and without an echo; Ctrl-C stays a signal."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
