"""A report as a picture: bars for every group of figures, as PNG and SVG.

matplotlib comes with the extra ``bench`` and is imported here only.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.report import Figure, Report, groups, shown

OURS, PEER, REFERENCE, LIMIT = "#0b7285", "#adb5bd", "#dee2e6", "#c92a2a"
BAR_INCHES, HEAD_INCHES, WIDTH_INCHES = 0.28, 0.75, 8.0
# From this ratio on, linear bars would hide all but the longest.
LOGARITHMIC_FROM = 50.0


@dataclass(frozen=True)
class Panel:
    """One group of bars: ``best`` is drawn as a tick in each bar, ``limit`` as a line across."""

    title: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    best: tuple[float | None, ...]
    colours: tuple[str, ...]
    limit: float | None
    logarithmic: bool


def available() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def panels(figures: Iterable[Figure]) -> list[Panel]:
    """Groups of at least two measured figures; where every value is nought there is nothing to see."""
    found = []
    for group in groups(figures):
        known = [figure for figure in group if figure.value is not None and math.isfinite(figure.value)]
        if len(known) > 1 and any(figure.value for figure in known):
            found.append(_panel(known))
    return found


def _panel(known: Sequence[Figure]) -> Panel:
    values = tuple(float(figure.value or 0.0) for figure in known)
    arrow = "lower is better" if known[0].better == "lower" else "higher is better"
    limits = {figure.limit for figure in known if figure.limit is not None}
    return Panel(
        title=f"{known[0].benchmark} ({known[0].unit}, {arrow})",
        labels=tuple(figure.subject for figure in known),
        values=values,
        best=tuple(figure.best for figure in known),
        colours=tuple(OURS if f.ours else REFERENCE if f.reference else PEER for f in known),
        limit=limits.pop() if len(limits) == 1 else None,
        logarithmic=min(values) > 0 and max(values) / min(values) >= LOGARITHMIC_FROM,
    )


def draw(report: Report, directory: Path) -> list[Path]:
    """NAME.png and NAME.svg; nothing where a report has no group to draw."""
    drawn = panels(report.figures)
    if not drawn:
        return []
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    heights = [HEAD_INCHES + BAR_INCHES * len(panel.labels) for panel in drawn]
    canvas = Canvas(figsize=(WIDTH_INCHES, sum(heights) + 0.4), layout="constrained")
    FigureCanvasAgg(canvas)
    canvas.suptitle(report.title, fontsize=11)
    axes = canvas.subplots(len(drawn), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axis, panel in zip(axes[:, 0], drawn, strict=True):
        _bars(axis, panel)
    written = [directory / f"{report.name}.png", directory / f"{report.name}.svg"]
    for path in written:
        canvas.savefig(path, dpi=120)
    return written


def _bars(axis: Any, panel: Panel) -> None:
    places = range(len(panel.labels))
    axis.barh(places, panel.values, color=panel.colours)
    for place, value, best in zip(places, panel.values, panel.best, strict=True):
        axis.annotate(
            shown(value), (value, place), (3, 0), textcoords="offset points", va="center", fontsize=7
        )
        if best is not None:
            axis.plot([best, best], [place - 0.35, place + 0.35], color="black", linewidth=0.8)
    if panel.limit is not None:
        axis.axvline(panel.limit, color=LIMIT, linestyle="--", linewidth=0.8)
    if panel.logarithmic:
        axis.set_xscale("log")
    axis.set_yticks(list(places), panel.labels, fontsize=8)
    axis.invert_yaxis()
    axis.tick_params(axis="x", labelsize=7)
    axis.set_title(panel.title, fontsize=9, loc="left")
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.08)
