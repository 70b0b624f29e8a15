"""A profile as one HTML page that needs nothing else: no script, no font, no address."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from oatie_ops.performance.importtime import packages
from oatie_ops.performance.profiles import TOP_PACKAGES, Profile
from oatie_ops.performance.svg import svg

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #667; --paper: #fff; --line: #d5d9e0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --dim: #9aa3b0; --paper: #14181e; --line: #333b46; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 1040px; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.dim, td.dim { color: var(--dim); }
td.n { white-space: nowrap; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .6rem .25rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } td.n, th.n { text-align: right;
  font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .axis, svg .value { fill: var(--dim); } svg .grid { stroke: var(--line); }
.phase { fill: #8fb3e8; } .cpu { fill: #2f6bc4; } .import { fill: #8ccfa0; } .dependency { fill: #e9b45c; }
.failed { fill: #d9604c; } .request { fill: #b39ad9; }
"""


def page(profile: Profile, version: str) -> str:
    seconds = profile.seconds
    title = f"Start of {profile.what}"
    facts = (
        f"release {profile.release}, {len(seconds)} runs: median {profile.median_seconds:.3f} s,"
        f" {seconds[0]:.3f} to {seconds[-1]:.3f} s"
    )
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1><p>{escape(facts)}{_budget(profile)}</p>",
        svg(profile),
        '<p class="dim">Dark blue had the processor; light blue waited, or others had it. Imports are'
        " those of one run that was watched, scaled to the phase.</p>",
        _comparison(profile),
        _section("What would help most", ("Change", "Saves", "Evidence"), _advice(profile)),
        _section("Phases", ("Phase", "Seconds", "Processor", "Waiting"), _phases(profile)),
    ]
    if profile.inside is not None:
        heads = ("Package", "Seconds", "Own", "Modules", "Imported by")
        parts.append(_section("Imports by package", heads, _packages(profile)))
        waits = [[wait.where, f"{wait.seconds:.3f}"] for wait in profile.inside.waits]
        parts.append(_section("Waiting", ("Where", "Seconds"), waits))
    parts.append(f'<p class="dim">oatie {escape(version)}</p></body></html>')
    return "\n".join(part for part in parts if part) + "\n"


def _budget(profile: Profile) -> str:
    if profile.budget_seconds is None:
        return ""
    return f"; budget {profile.budget_seconds:g} s: {'kept' if profile.within_budget else 'exceeded'}"


def _comparison(profile: Profile) -> str:
    found = profile.comparison
    if found is None:
        return ""
    p = "" if found.p_value is None else f", p = {found.p_value:.2g}"
    said = (
        f"Against release {profile.compared_with}: {found.verdict.value} (ratio {found.ratio:.3f}{p}, n ="
        f" {found.n}, {found.method}). {found.why}"
    )
    return f"<p><strong>{escape(said)}</strong></p>"


def _section(title: str, heads: Sequence[str], table: Iterable[Sequence[str]]) -> str:
    body = list(table)
    if not body:
        return ""
    head = "".join(f"<th{_class(name)}>{escape(name)}</th>" for name in heads)
    lines = [f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>"]
    for row in body:
        cells = (f"<td{_class(name)}>{escape(cell)}</td>" for name, cell in zip(heads, row, strict=True))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</tbody></table>"])


def _class(head: str) -> str:
    return ' class="n"' if head in ("Seconds", "Own", "Modules", "Processor", "Waiting", "Saves") else ""


def _advice(profile: Profile) -> Iterable[Sequence[str]]:
    for one in profile.advice():
        saves = "not measured" if one.saves_seconds is None else f"{one.saves_seconds:.3f} s"
        yield f"{one.title}: {one.action}", saves, one.evidence


def _phases(profile: Profile) -> Iterable[Sequence[str]]:
    for phase in profile.phases():
        yield phase.name, f"{phase.seconds:.3f}", _known(phase.cpu_seconds), _known(phase.waiting_seconds)


def _known(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.3f}"


def _packages(profile: Profile) -> Iterable[Sequence[str]]:
    assert profile.inside is not None
    for cost in packages(profile.inside.application, profile.own_packages, profile.entry)[:TOP_PACKAGES]:
        yield cost.package, f"{cost.seconds:.3f}", f"{cost.own_seconds:.3f}", str(cost.modules), cost.importer
