"""A call to an engine that an interruption must not cut in half: what it makes would be known to nobody."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def uncut(call: Callable[[], T]) -> T:
    """The result of the call. What a signal raises meanwhile is raised once the call has ended."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            done.set_exception(error)

    thread = Thread(target=run, name="engine call", daemon=True)
    thread.start()
    try:
        return done.result()
    finally:
        thread.join()
