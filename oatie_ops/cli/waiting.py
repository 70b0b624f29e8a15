"""One line of talk that says what is being waited for: redrawn on a terminal, sparse elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType

from oatie_ops.cli.output import say, use_animation

REDRAW_SECONDS = 0.1
REPEAT_SECONDS = 10.0  # in a log, how often the same wait is mentioned again
QUIET_SECONDS = 0.5  # what is over sooner is not worth a line


class Waiting:
    """A context manager; call `update` as often as there is something to say."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._animate = use_animation(sys.stderr)
        self._quiet = quiet
        self._begun = time.monotonic()
        self._last_text, self._last_time = "", 0.0

    def update(self, text: str) -> None:
        now = time.monotonic()
        if self._quiet or now - self._begun < QUIET_SECONDS:
            return
        if self._animate:
            if now - self._last_time >= REDRAW_SECONDS:
                sys.stderr.write(f"\r\x1b[K{text} ({now - self._begun:.0f}s)")
                sys.stderr.flush()
                self._last_text, self._last_time = text, now
        elif text != self._last_text or now - self._last_time >= REPEAT_SECONDS:
            say(text)
            self._last_text, self._last_time = text, now

    def __enter__(self) -> Waiting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._animate and self._last_text:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextlib.contextmanager
def waiting_for(text: str, *, quiet: bool = False) -> Iterator[None]:
    """For a call that blocks and tells nothing: a thread says how long it has been."""
    over = threading.Event()

    def tell() -> None:
        with Waiting(quiet=quiet) as waiting:
            while not over.wait(REDRAW_SECONDS):
                waiting.update(text)

    thread = threading.Thread(target=tell, name="oatie-waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
