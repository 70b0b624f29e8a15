"""Rounds over rivals, and what comes out of them as figures."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import FrameType
from typing import TypeVar

import psutil

from tests.benchmarks.report import OURS, Figure, Options

COMMAND_TIMEOUT_SECONDS = 60.0
# What a program that does not start, answer or end as it should comes out as.
TROUBLE = (
    RuntimeError,
    AssertionError,
    LookupError,
    ValueError,
    OSError,
    psutil.Error,
    subprocess.SubprocessError,
)

Measured = TypeVar("Measured")
Rounds = dict[str, list[float]]
UNHURRIED = Options()


class OutOfTimeError(RuntimeError):
    """A benchmark was not done when its last moment came."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises `OutOfTimeError` inside the block, whatever it is waiting for. For the main thread only."""

    def over(_signal: int, _frame: FrameType | None) -> None:
        raise OutOfTimeError(f"it was not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def interleaved(
    rivals: Mapping[str, Callable[[], Measured]], rounds: int, options: Options = UNHURRIED
) -> dict[str, list[Measured]]:
    """Each rival once a round, so that a slow moment of the machine meets all. The first round warms up."""
    found = once_each(rivals, rounds + 1, options, least=2)
    return {name: values[1:] for name, values in found.items()}


def once_each(
    rivals: Mapping[str, Callable[[], Measured]], rounds: int, options: Options = UNHURRIED, *, least: int = 1
) -> dict[str, list[Measured]]:
    """As `interleaved`, and every round counts: for what starts afresh each time.

    After ``least`` rounds none is begun when the time is up. A peer that fails is left out from then on, and
    ``options.gone`` says why; `oatie` has to work.
    """
    found: dict[str, list[Measured]] = {name: [] for name in rivals}
    for done in range(rounds):
        if done >= least and time.monotonic() >= options.until:
            break
        for name in list(found):
            try:
                found[name].append(rivals[name]())
            except OutOfTimeError:
                raise
            except TROUBLE as error:
                if name.startswith(OURS):
                    raise
                options.gone[name] = f"failed in round {done + 1}: {first_line(error)}"
                del found[name]
    return found


def first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Round by round, so that both numbers come from the same moment."""
    return median(own / their for own, their in zip(ours, theirs, strict=True))


def summed_up(
    benchmark: str,
    found: Rounds,
    unit: str,
    *,
    scale: float = 1.0,
    limits: Mapping[str, float] = {},
    references: Sequence[str] = (),
    notes: Mapping[str, str] = {},
) -> Iterator[Figure]:
    for name, values in found.items():
        yield Figure(
            benchmark,
            name,
            median(values) * scale,
            unit,
            best=min(values) * scale,
            limit=limits.get(name),
            reference=name in references,
            note=notes.get(name, ""),
        )


def run_to_its_end(
    command: Sequence[str], directory: Path, env: Mapping[str, str] | None = None
) -> tuple[float, float]:
    """Wall and processor seconds of a program whose output and exit code do not matter."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    return wall, used.ru_utime + used.ru_stime
