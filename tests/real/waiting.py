"""Waiting for a condition with a deadline, and the parts that tests on real processes need on a machine."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

POLL_SECONDS = 0.02
# What takes longer is looked at less often: looking costs the machine something, too.
LAZY_POLL_SECONDS, LAZY_AFTER_SECONDS = 0.05, 0.5
# Generous: a loaded machine makes a test slow, it must not make it fail.
PATIENCE_SECONDS = 90.0


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def wait_for(
    condition: Callable[[], T | None],
    what: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    evidence: Callable[[], object] | None = None,
) -> T:
    """The first truthy value of `condition`; fails the test, naming `what`, when none came in time."""
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        if waited > seconds:
            shown = f"\nseen instead: {evidence()}" if evidence else ""
            pytest.fail(f"waited {seconds:g} s for {what}{shown}", pytrace=True)
        time.sleep(POLL_SECONDS if waited < LAZY_AFTER_SECONDS else LAZY_POLL_SECONDS)


def run(work: Callable[[], Awaitable[None]]) -> None:
    """A test that is asynchronous, to its end or to the end of patience."""

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await work()

    asyncio.run(bounded())


def need_program(name: str) -> str:
    """The path of a program that the test is about; in CI its absence fails the test."""
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not installed"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)
    return path


_given: set[int] = set()


def free_port() -> int:
    """A port that nothing listens on now, another one each time.

    Below the range that systems give to outgoing connections, of which a load test opens thousands: one
    of them might take the port before the program under test does.
    """
    choose = random.SystemRandom()
    while True:
        port = choose.randrange(15_000, 32_000)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def port_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0
