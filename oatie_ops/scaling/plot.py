"""The replay as a picture: a self-contained SVG that any browser shows, with nothing to fetch."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from oatie_ops.scaling.backtest import OURS, RETUNED, Backtest
from oatie_ops.scaling.setup import DAY_SECONDS, KNEE

WIDTH, HEIGHT = 1200, 460
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 60, 40
MOST_POINTS = 1500
STYLE = """
svg { background: #fff; color: #222; font: 13px system-ui, sans-serif; }
.grid { stroke: #ddd; } .axis { fill: #555; } .warm { fill: #000; opacity: .05; }
.load { fill: #9bbce0; } .ours { stroke: #b4231f; } .hpa { stroke: #6b6b6b; stroke-dasharray: 4 3; }
path.line { fill: none; stroke-width: 1.4; }
@media (prefers-color-scheme: dark) { svg { background: #16181c; color: #ddd; } .grid { stroke: #333; }
.axis { fill: #aaa; } .warm { fill: #fff; } .load { fill: #35567d; } .ours { stroke: #ff7b72; }
.hpa { stroke: #999; } }
"""


def svg(result: Backtest, title: str) -> str:
    """Demand (in replicas at 0.9 load) and the replicas that were asked for, over time."""
    count = len(result.demand)
    bucket = max(1, -(-count // MOST_POINTS))
    need = [0.0 if value is None else value / KNEE for value in result.demand]
    lines = {replay.score.policy: replay.decisions for replay in result.replays}
    shown = {"load": _peaks(need, bucket), "ours": _peaks(lines[OURS], bucket)}
    shown["hpa"] = _peaks(lines[RETUNED], bucket)
    top = 1.05 * max(max(values) for values in shown.values())
    points = len(shown["load"])

    def x(index: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * index / max(1, points - 1)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

    def path(values: Sequence[float]) -> str:
        return "M" + " L".join(f"{x(i):.1f},{y(value):.1f}" for i, value in enumerate(values))

    area = f"{path(shown['load'])} L{x(points - 1):.1f},{y(0):.1f} L{x(0):.1f},{y(0):.1f} Z"
    score = result.ours.score
    told = (
        f"our advice: cost {score.cost:.2f} x clairvoyant, {score.violations:.2%} of the steps violated, "
        f"{score.lost:.2%} of the demand lost"
    )
    warm = x(result.warmup_steps / bucket) - LEFT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            f' aria-label="{escape(title, quote=True)}">',
            f"<style>{STYLE}</style>",
            f'<text x="{LEFT}" y="22" fill="currentColor" font-weight="600">{escape(title)}</text>',
            f'<text x="{LEFT}" y="42" class="axis">{escape(told)}</text>',
            *_grid(top, y),
            *_days(count, bucket, result.setup.step_seconds, x),
            f'<path class="load" d="{area}"/>',
            f'<path class="line hpa" d="{path(shown["hpa"])}"/>',
            f'<path class="line ours" d="{path(shown["ours"])}"/>',
            f'<rect class="warm" x="{LEFT}" y="{TOP}" width="{warm:.1f}" height="{HEIGHT - TOP - BOTTOM}">'
            "<title>warm-up: not scored</title></rect>",
            *_legend(),
            "</svg>",
            "",
        ]
    )


def _peaks(values: Sequence[float], bucket: int) -> list[float]:
    return [max(values[start : start + bucket]) for start in range(0, len(values), bucket)]


def _grid(top: float, y: object) -> list[str]:
    assert callable(y)
    step = next(size * 10**power for power in range(9) for size in (1, 2, 5) if top / (size * 10**power) <= 8)
    rows = []
    value = 0
    while value <= top:
        rows.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
            f'<text class="axis" x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value}</text>'
        )
        value += step
    return rows


def _days(count: int, bucket: int, step_seconds: float, x: object) -> list[str]:
    assert callable(x)
    seconds = count * step_seconds
    unit, name = (DAY_SECONDS, "day") if seconds > 2 * DAY_SECONDS else (3600.0, "hour")
    every = max(1, round(seconds / unit / 12))
    return [
        f'<text class="axis" x="{x(number * unit / step_seconds / bucket):.1f}" y="{HEIGHT - 14}"'
        f' text-anchor="middle">{name} {number}</text>'
        for number in range(0, int(seconds / unit) + 1, every)
    ]


def _legend() -> list[str]:
    names = (("load", "needed"), ("ours", "our advice"), ("hpa", RETUNED))
    parts = []
    for index, (style, name) in enumerate(names):
        at = WIDTH - 420 + 130 * index
        mark = (
            f'<rect class="load" x="{at}" y="13" width="14" height="10"/>'
            if style == "load"
            else f'<path class="line {style}" d="M{at},18 h16"/>'
        )
        parts.append(f'{mark}<text class="axis" x="{at + 20}" y="22">{name}</text>')
    return parts
