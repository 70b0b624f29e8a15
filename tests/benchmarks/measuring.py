"""Rounds over rivals, and what comes out of them as figures."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TypeVar

from tests.benchmarks.report import Figure

COMMAND_TIMEOUT_SECONDS = 60.0

Measured = TypeVar("Measured")
Rounds = dict[str, list[float]]


def interleaved(rivals: Mapping[str, Callable[[], Measured]], rounds: int) -> dict[str, list[Measured]]:
    """Each rival once a round, so that a slow moment of the machine meets all. The first round warms up."""
    found = once_each(rivals, rounds + 1)
    return {name: values[1:] for name, values in found.items()}


def once_each(rivals: Mapping[str, Callable[[], Measured]], rounds: int) -> dict[str, list[Measured]]:
    """As `interleaved`, and every round counts: for what starts afresh each time."""
    found: dict[str, list[Measured]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, measure in rivals.items():
            found[name].append(measure())
    return found


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
