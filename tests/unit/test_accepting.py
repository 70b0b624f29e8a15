"""How many connections a worker takes at a turn of its loop, and what it does when it has no room."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from itertools import pairwise
from typing import Any

import pytest

from oatie_ops.supervisor import accepting
from oatie_ops.supervisor.accepting import (
    FASTEST_TURN,
    HELD_UP_SECONDS,
    PATIENT_TURNS,
    SETTLE_TURNS,
    SMOOTH_SECONDS,
    Acceptor,
    Pace,
)

QUICK, BUSY, HELD_UP = SMOOTH_SECONDS / 10, (SMOOTH_SECONDS + HELD_UP_SECONDS) / 2, HELD_UP_SECONDS * 2


def turns(*waits: float, served_each: int = 1, left: bool = True) -> list[int]:
    """The first finds what has just come; at the others some were left, or not."""
    pace, now, served, taken = Pace(), 1000.0, 0, []
    for number, wait in enumerate(waits):
        now += wait
        served += served_each
        taken.append(pace.take(now, served, left=left and number > 0))
    return taken


def test_one_is_taken_and_then_its_request_may_run_first() -> None:
    assert turns(0, *[QUICK] * SETTLE_TURNS) == [1, *[0] * (SETTLE_TURNS - 1), 1]


def test_a_loop_that_is_held_up_by_each_request_takes_them_singly() -> None:
    assert turns(0, *[QUICK, QUICK, HELD_UP, QUICK] * 2) == [1, 0, 0, 0, 1, 0, 0, 0, 1]


def test_what_is_in_hand_comes_first_but_nobody_waits_for_ever() -> None:
    taken = turns(0, *[HELD_UP] * 3 * PATIENT_TURNS)[1:]
    assert sum(taken) == 3 and taken[: PATIENT_TURNS - 1] == [0] * (PATIENT_TURNS - 1)


def test_a_loop_that_goes_on_takes_twice_as_many_at_each_turn_up_to_a_limit() -> None:
    taken = turns(0, *[QUICK] * 20)[SETTLE_TURNS:]
    assert all(after in (before, before * 2) for before, after in pairwise(taken))
    assert taken[-1] == 2 ** (FASTEST_TURN - SETTLE_TURNS)


def test_a_busy_loop_takes_one_at_each_turn() -> None:
    assert turns(0, *[QUICK] * 20, BUSY, BUSY, BUSY)[-3:] == [1, 1, 1]
    assert turns(0, *[BUSY] * 10)[SETTLE_TURNS:] == [1] * (11 - SETTLE_TURNS)


def test_a_turn_that_is_long_for_many_requests_is_no_hold_up() -> None:
    """Else new clients would starve behind busy ones whose connections stay."""
    assert turns(0, *[HELD_UP] * 20, served_each=30)[-1] == 2 ** (FASTEST_TURN - SETTLE_TURNS)


def test_a_loop_of_slow_requests_takes_as_many_as_it_serves() -> None:
    assert turns(0, *[BUSY * 30] * 10, served_each=30)[SETTLE_TURNS:] == [30] * (11 - SETTLE_TURNS)
    assert sum(turns(0, *[HELD_UP * 7] * PATIENT_TURNS, served_each=7)[1:]) == 7


def test_what_comes_after_a_rest_is_taken_as_carefully_as_at_first() -> None:
    """However many were served before it."""
    assert turns(*[BUSY] * 5, served_each=30, left=False) == [1] * 5


class FullOnce(socket.socket):
    """A listener of a process that has no descriptor left at its first connection."""

    refused = False

    def accept(self) -> tuple[socket.socket, Any]:
        if not self.refused:
            self.refused = True
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


class Greets(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"hello")
        transport.close()


def test_what_listens_no_more_is_looked_at_once_a_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR, "uvicorn.error")

    async def refuse() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        acceptor = Acceptor(listener, Greets, lambda: 0)
        listener.shutdown(socket.SHUT_RDWR)
        for _ in range(100):
            await asyncio.sleep(0)
        acceptor.close()

    asyncio.run(refuse())
    assert len(caplog.records) == 1


def test_without_room_it_says_so_and_goes_on_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.01)
    caplog.set_level(logging.ERROR, "uvicorn.error")

    async def connect() -> bytes:
        listener = FullOnce()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        acceptor = Acceptor(listener, Greets, lambda: 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        acceptor.close()
        return said

    assert asyncio.run(connect()) == b"hello"
    assert "cannot take a connection: Too many open files" in caplog.text
