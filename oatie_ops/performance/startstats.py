"""What is known of all starts of a project: by release, by phase, and whether the newest one is slower."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from oatie_ops.performance.advice import Advice, advise
from oatie_ops.performance.buckets import percentile
from oatie_ops.performance.compare import Comparison, suspect
from oatie_ops.performance.phases import Start, from_json
from oatie_ops.store.samplefile import SampleFile
from oatie_ops.store.starts import StartRow, Starts

KINDS = ("worker", "profile", "library")


@dataclass(frozen=True)
class PhaseStats:
    """Of "dependencies reached" (within the others) and "first request" (after them) as well."""

    name: str
    median_seconds: float
    p95_seconds: float
    share: float
    waiting_seconds: float | None  # median, without the processor; None: not known


@dataclass(frozen=True)
class ReleaseStats:
    """Of the starts of one release (or of one name of the library's profiles), newest first."""

    kind: str
    release: str
    count: int
    latest_at: float
    latest_seconds: float
    median_seconds: float
    p95_seconds: float
    min_seconds: float
    max_seconds: float
    phases: tuple[PhaseStats, ...]
    first_request_seconds: float | None
    dependencies: Mapping[str, float | None]

    def as_dict(self) -> dict[str, Any]:
        return {
            **{k: v for k, v in self.__dict__.items() if k != "phases"},
            "phases": [dict(phase.__dict__) for phase in self.phases],
        }


@dataclass(frozen=True)
class StartStats:
    """``regression``: the newest release's workers against those of the one before; None without two."""

    total: int = 0
    releases: tuple[ReleaseStats, ...] = ()
    regression: Comparison | None = None
    compared: tuple[str, str] | None = None  # old, new
    advice: tuple[Advice, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        return {
            "total_starts": self.total,
            "releases": [stats.as_dict() for stats in self.releases],
            "regression": None
            if self.regression is None or self.compared is None
            else {"old": self.compared[0], "new": self.compared[1], **self.regression.as_dict()},
            "recommendations": [one.as_dict() for one in self.advice],
        }


def read_stats(path: Path, unkept: Iterable[StartRow] = ()) -> StartStats:
    """Of the file at ``path``, if there is one, and of ``unkept``. Raises `StoreError`."""
    rows: list[StartRow] = []
    with contextlib.suppress(FileNotFoundError):
        file = SampleFile(path, read_only=True)
        try:
            rows = Starts(file).latest(limit=1000)
        finally:
            file.close()
    return summarise(sorted([*unkept, *rows], key=lambda row: row.at, reverse=True))


def summarise(rows: Sequence[StartRow]) -> StartStats:
    """``rows`` newest first."""
    groups: dict[tuple[str, str], list[StartRow]] = {}
    for row in rows:
        groups.setdefault((row.kind, row.release), []).append(row)
    releases = tuple(_release(found) for found in groups.values())
    workers = [stats.release for stats in releases if stats.kind == "worker"]
    regression, compared = None, None
    if len(workers) > 1:
        new, old = workers[0], workers[1]
        regression = suspect(_seconds(groups["worker", old]), _seconds(groups["worker", new]))
        compared = (old, new)
    newest = next(iter(groups.values()), [])
    return StartStats(
        len(rows),
        releases,
        regression,
        compared,
        tuple(advise([from_json(row.data) for row in newest])),
    )


def _release(rows: Sequence[StartRow]) -> ReleaseStats:
    starts = [from_json(row.data) for row in rows]
    seconds = sorted(_seconds(rows))
    first = [start.first_request.seconds for start in starts if start.first_request is not None]
    return ReleaseStats(
        rows[0].kind,
        rows[0].release,
        len(rows),
        rows[0].at,
        rows[0].seconds,
        median(seconds),
        percentile(seconds),
        seconds[0],
        seconds[-1],
        tuple(_phases(starts)),
        median(first) if first else None,
        _dependencies(starts),
    )


def _phases(starts: Sequence[Start]) -> Iterable[PhaseStats]:
    total = median(start.seconds for start in starts) or 1.0
    every = [start.all_phases for start in starts]
    for name in dict.fromkeys(phase.name for phases in every for phase in phases):
        found = [phase for phases in every for phase in phases if phase.name == name]
        seconds = sorted(phase.seconds for phase in found)
        waits = [phase.waiting_seconds for phase in found if phase.waiting_seconds is not None]
        middle = median(seconds)
        yield PhaseStats(
            name, middle, percentile(seconds), min(1.0, middle / total), median(waits) if waits else None
        )


def _dependencies(starts: Sequence[Start]) -> dict[str, float | None]:
    """By service or address: the median of the seconds waited in a start; None where it was only seen."""
    found: dict[str, list[float]] = {}
    for start in starts:
        for one in start.dependencies:
            seconds = found.setdefault(one.service or one.address, [])
            if one.seconds is not None:
                seconds.append(one.seconds)
    return {name: median(seconds) if seconds else None for name, seconds in found.items()}


def _seconds(rows: Sequence[StartRow]) -> list[float]:
    return [row.seconds for row in rows]
