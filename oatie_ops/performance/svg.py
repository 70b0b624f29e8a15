"""The waterfall of a start as SVG, as `systemd-analyze plot` draws a boot. Text only, no script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape

from oatie_ops.performance.importtime import Module
from oatie_ops.performance.phases import LOAD, Dependency, Phase
from oatie_ops.performance.profiles import Profile

WIDTH, LEFT, ROW, BAR = 1000.0, 230.0, 22.0, 14.0
MAX_IMPORTS = 25
MIN_IMPORT_SHARE = 0.01
GRID_LINES = 10


@dataclass(frozen=True)
class Row:
    """One bar. ``depth`` indents its label; ``dark_seconds`` of it had the processor."""

    label: str
    start: float
    seconds: float
    kind: str
    depth: int = 0
    dark_seconds: float | None = None


def rows(profile: Profile, *, depth: int = 99, least_share: float = MIN_IMPORT_SHARE) -> list[Row]:
    """Phases, within the application's load its dearest imports, and the connections that were waited for.

    Imports down to ``depth`` that take at least ``least_share`` of the start.
    """
    found: list[Row] = []
    for phase in profile.phases():
        found.append(Row(phase.name, phase.start, phase.seconds, "phase", 0, phase.cpu_seconds))
        if phase.name == LOAD and profile.inside is not None:
            found += _imports(profile.inside.application, phase, least_share * profile.median_seconds, depth)
    typical = profile.typical
    found += [_dependency(one) for one in typical.dependencies if one.seconds is not None]
    if typical.first_request is not None:
        first = typical.first_request
        found.append(Row(first.name, profile.median_seconds, first.seconds, "request"))
    return found


def _imports(roots: Iterable[Module], load: Phase, least: float, deepest: int) -> Iterator[Row]:
    """Scaled to the phase: the run that was watched took its own time."""
    modules = list(roots)
    measured = sum(module.cumulative_seconds for module in modules)
    scale = load.seconds / measured if measured > load.seconds else 1.0
    found: list[Row] = []

    def visit(module: Module, at: float, depth: int) -> None:
        seconds = module.cumulative_seconds * scale
        if seconds >= least and depth <= deepest:
            found.append(Row(module.name, at, seconds, "import", depth))
            for child in module.children:
                visit(child, at, depth + 1)
                at += child.cumulative_seconds * scale

    at = load.start
    for module in modules:
        visit(module, at, 1)
        at += module.cumulative_seconds * scale
    keep = {id(row) for row in sorted(found, key=lambda row: -row.seconds)[:MAX_IMPORTS]}
    yield from (row for row in found if id(row) in keep)


def _dependency(one: Dependency) -> Row:
    label = f"{one.service} ({one.address})" if one.service else one.address
    return Row(f"connect {label}", one.start, one.seconds or 0.0, "dependency" if one.ok else "failed")


def svg(profile: Profile) -> str:
    drawn = rows(profile)
    end = max((row.start + row.seconds for row in drawn), default=0.0) or 1.0
    height = ROW * (len(drawn) + 2)
    scale = (WIDTH - LEFT - 90) / end
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" role="img"'
        f' aria-label="Waterfall of the start, {profile.median_seconds:.3f} seconds">'
    ]
    step = _nice(end / GRID_LINES)
    for i in range(int(end / step) + 1):
        x = LEFT + i * step * scale
        lines.append(f'<line class="grid" x1="{x:.1f}" y1="{ROW:g}" x2="{x:.1f}" y2="{height:g}"/>')
        lines.append(f'<text class="axis" x="{x:.1f}" y="{ROW * 0.7:.1f}">{i * step:g} s</text>')
    for number, row in enumerate(drawn):
        lines += _bar(row, ROW * (number + 1), scale)
    lines.append("</svg>")
    return "\n".join(lines)


def _bar(row: Row, y: float, scale: float) -> Iterator[str]:
    x, width = LEFT + row.start * scale, max(1.0, row.seconds * scale)
    indent = 12 * row.depth
    label = row.label if len(row.label) <= 34 - 2 * row.depth else "…" + row.label[-(33 - 2 * row.depth) :]
    title = f"{row.label}: {row.seconds:.4f} s from {row.start:.4f} s"
    yield f"<g><title>{escape(title)}</title>"
    yield f'<text class="label" x="{4 + indent}" y="{y + BAR - 2:.1f}">{escape(label)}</text>'
    yield f'<rect class="{row.kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR:g}"/>'
    if row.dark_seconds is not None:
        dark = min(width, row.dark_seconds * scale)
        yield f'<rect class="cpu" x="{x:.1f}" y="{y:.1f}" width="{dark:.1f}" height="{BAR:g}"/>'
    yield f'<text class="value" x="{x + width + 4:.1f}" y="{y + BAR - 2:.1f}">{_time(row.seconds)}</text></g>'


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _nice(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** _floor_log10(step)
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _floor_log10(value: float) -> int:
    exponent = 0
    while value >= 10:
        value, exponent = value / 10, exponent + 1
    while 0 < value < 1:
        value, exponent = value * 10, exponent - 1
    return exponent
