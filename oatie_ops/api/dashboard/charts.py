"""Small pictures as SVG, without styles in line (the policy of the page forbids them). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from oatie_ops.api.dashboard.templates import Html

WIDTH, HEIGHT = 120, 28
PAD = 2.0


def sparkline(
    values: Sequence[float | None],
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    top: float = 0.0,
    label: str = "",
) -> Html:
    """A line with gaps where nothing was measured, from 0 to ``top`` at least; ``label`` is read out."""
    found = [value for value in values if value is not None]
    if len(found) < 2:
        return Html('<span class="muted">not enough measured yet</span>') if label else Html("")
    top = max(top, *found)
    scale = (height - 2 * PAD) / top if top > 0 else 0.0
    step = (width - 2 * PAD) / max(1, len(values) - 1)
    points = [
        None if value is None else (PAD + index * step, height - PAD - value * scale)
        for index, value in enumerate(values)
    ]
    path = "".join(_strokes(points))
    area = "".join(_areas(points, height - PAD))
    return Html(
        f'<svg class="spark" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}"><path class="area" d="{area}"/>'
        f'<path class="line" d="{path}" vector-effect="non-scaling-stroke"/></svg>'
    )


def uptime_bar(cells: Sequence[float | None], labels: Sequence[str], summary: str) -> Html:
    """A cell is as high as it was up; each has its own words, read with the arrow keys."""
    parts = []
    for index, (share, label) in enumerate(zip(cells, labels, strict=True)):
        kind, height = _cell(share)
        parts.append(
            f'<rect class="{kind}" x="{index * 5}" y="{20 - height}" width="4" height="{height}" rx="1" '
            f'data-label="{escape(label)}"/>'
        )
    return Html(
        f'<svg class="bar" viewBox="0 0 {len(cells) * 5 - 1} 20" preserveAspectRatio="none" role="img" '
        f'tabindex="0" aria-label="{escape(summary)}">{"".join(parts)}</svg>'
    )


def waterfall(phases: Sequence[Mapping[str, Any]]) -> Html:
    """``phases``: name, start_seconds, seconds, text. One row each; the words stand beside the bars."""
    total = max((phase["start_seconds"] + phase["seconds"] for phase in phases), default=0.0)
    if total <= 0:
        return Html("")
    rows = []
    for index, phase in enumerate(phases):
        left = 100 * phase["start_seconds"] / total
        width = max(0.6, 100 * phase["seconds"] / total)
        rows.append(
            f'<li><span class="phase-name">{escape(str(phase["name"]))}</span>'
            f'<svg class="phase" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
            f'<rect class="track" width="100" height="10"/>'
            f'<rect class="p{index % 4}" x="{min(left, 99.4):.2f}" width="{width:.2f}" height="10"/></svg>'
            f'<span class="phase-time">{escape(str(phase["text"]))}</span></li>'
        )
    return Html(f'<ol class="waterfall">{"".join(rows)}</ol>')


def _cell(share: float | None) -> tuple[str, int]:
    if share is None:
        return "none", 3
    if share >= 0.9995:
        return "up", 20
    return ("part", 14) if share >= 0.5 else ("down", 8)


def _strokes(points: Sequence[tuple[float, float] | None]) -> Iterator[str]:
    for run in _runs(points):
        yield "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run)


def _areas(points: Sequence[tuple[float, float] | None], floor: float) -> Iterator[str]:
    for run in _runs(points):
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in run)
        yield f"M{run[0][0]:.1f} {floor:.1f}L{line}L{run[-1][0]:.1f} {floor:.1f}Z"


def _runs(points: Sequence[tuple[float, float] | None]) -> Iterator[list[tuple[float, float]]]:
    run: list[tuple[float, float]] = []
    for point in [*points, None]:
        if point is not None:
            run.append(point)
        elif run:
            yield run if len(run) > 1 else [run[0], (run[0][0] + 0.5, run[0][1])]
            run = []
