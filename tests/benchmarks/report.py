"""Figures, their targets, and how they are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured value; ``met`` is None where there is no target."""

    benchmark: str
    subject: str
    value: float | None
    unit: str
    target: str = ""
    met: bool | None = None
    note: str = ""

    @property
    def shown(self) -> str:
        return (
            "unknown"
            if self.value is None
            else f"{self.value:.3g}"
            if abs(self.value) < 1000
            else f"{self.value:.0f}"
        )


def judged(
    benchmark: str,
    subject: str,
    value: float | None,
    unit: str,
    target: str,
    test: Callable[[float], bool],
    note: str = "",
) -> Figure:
    met = None if value is None else test(value)
    return Figure(benchmark, subject, value, unit, target, met, note)


def median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def table(figures: Sequence[Figure]) -> str:
    verdicts = {True: "met", False: "MISSED", None: ""}
    rows = [("benchmark", "what", "figure", "unit", "target", "", "note")]
    rows += [(f.benchmark, f.subject, f.shown, f.unit, f.target, verdicts[f.met], f.note) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
