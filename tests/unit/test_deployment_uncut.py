"""A call to an engine has ended when an interruption of it is told."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from oatie_ops.deployment.containers.uncut import uncut
from oatie_ops.deployment.interrupts import Interrupts
from oatie_ops.errors import Interrupted

Start = threading.Thread.start


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_it_gives_what_the_call_gives() -> None:
    assert uncut(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        uncut(lambda: 1 // 0)


def start_and_terminate(thread: threading.Thread) -> None:
    Start(thread)
    terminate()


def terminate_and_start(thread: threading.Thread) -> None:
    terminate()
    Start(thread)


@pytest.mark.parametrize("start", [start_and_terminate, terminate_and_start])
def test_a_signal_while_the_call_is_begun_waits_for_its_end(
    start: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Thread, "start", start)
    goes_on, ended = threading.Event(), threading.Event()

    def call() -> None:
        goes_on.wait(0.2)  # nobody sets it: the call just takes its time
        ended.set()

    # Another thread may be the one that the kernel chooses for the signal.
    idle = threading.Event()
    other = threading.Thread(target=idle.wait)
    Start(other)
    try:
        with Interrupts() as interrupts, pytest.raises(Interrupted), interrupts.armed():
            uncut(call)
        assert ended.is_set()
    finally:
        idle.set()
        other.join()
