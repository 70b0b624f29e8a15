"""Figures, the limits they are held against, and what they say about the peers. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

OURS = "oatie"
Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Options:
    """``quick``: fewer rounds. ``traces``: recorded loads (CSV: ``t_s,load``), None where none were given.

    No round is begun after ``until`` (of ``time.monotonic``). ``gone`` is filled while measuring: peers that
    failed, and how.
    """

    quick: bool = False
    traces: Path | None = None
    until: float = math.inf
    gone: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """One measured value, a median over the rounds unless the note says otherwise.

    ``best`` is the best single round; ``limit`` what `oatie` has promised. A ``reference`` (the bare call,
    an empty Python) is shown but is nobody's rival. ``value`` None: not measured.
    """

    benchmark: str
    subject: str
    value: float | None
    unit: str
    best: float | None = None
    limit: float | None = None
    better: Better = "lower"
    reference: bool = False
    note: str = ""

    @property
    def ours(self) -> bool:
        return self.subject.startswith(OURS)

    @property
    def met(self) -> bool | None:
        if self.limit is None or self.value is None:
            return None
        return self.value <= self.limit if self.better == "lower" else self.value >= self.limit

    @property
    def target(self) -> str:
        if self.limit is None:
            return ""
        return f"{'<=' if self.better == 'lower' else '>='} {self.limit:g}"

    def beats(self, other: Figure) -> bool:
        if self.value is None or other.value is None:
            return False
        return self.value < other.value if self.better == "lower" else self.value > other.value


@dataclass(frozen=True)
class Report:
    """``left_out``: peers that were not measured, and why. ``failed``: why there are no figures at all."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    failed: str | None = None


Benchmark = Callable[[Options], Report]


def shown(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def verdict(figure: Figure) -> str:
    return {True: "met", False: "MISSED", None: ""}[figure.met]


def groups(figures: Iterable[Figure]) -> list[list[Figure]]:
    """Those that can be compared with each other: the same benchmark in the same unit."""
    found: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        found.setdefault((figure.benchmark, figure.unit), []).append(figure)
    return list(found.values())


def peer_wins(figures: Iterable[Figure]) -> list[str]:
    """One sentence for each figure in which a peer is better than `oatie` itself."""
    said = []
    for group in groups(figures):
        mine = next((figure for figure in group if figure.subject == OURS), None)
        if mine is None:
            continue
        for rival in group:
            if not rival.ours and not rival.reference and rival.beats(mine):
                amount = f"{shown(rival.value)} against {shown(mine.value)} {rival.unit}"
                said.append(f"{rival.benchmark}: {rival.subject} {amount}")
    return said


def missed(figures: Iterable[Figure]) -> list[str]:
    return [
        f"{figure.benchmark}, {figure.subject}: {shown(figure.value)} {figure.unit}"
        f" (promised: {figure.target})"
        for figure in figures
        if figure.met is False
    ]


def rows(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    """The table's cells, its head first."""
    head = ("benchmark", "what", "figure", "best", "unit", "promised", "", "note")
    return [head] + [
        (
            figure.benchmark,
            figure.subject,
            shown(figure.value),
            "" if figure.best is None else shown(figure.best),
            figure.unit,
            figure.target,
            verdict(figure),
            figure.note,
        )
        for figure in figures
    ]


def table(figures: Sequence[Figure]) -> str:
    """For a terminal."""
    cells = rows(figures)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
