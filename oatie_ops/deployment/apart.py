"""A call in a thread of its own, for who waits no longer than he wants, or until it has really ended."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def apart(call: Callable[[], T], name: str) -> tuple[Thread, Future[T]]:
    """The thread, to be started, and what will become of the call. It does not outlive the process."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            done.set_exception(error)

    return Thread(target=run, name=name, daemon=True), done
