"""A profile on a terminal: the waterfall, what would help most, the imports, the verdict."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator

from oatie_ops.cli.human import table
from oatie_ops.cli.output import paint
from oatie_ops.performance.compare import Comparison, Verdict
from oatie_ops.performance.importtime import packages, slowest, total_seconds
from oatie_ops.performance.profiles import Profile
from oatie_ops.performance.svg import Row, rows

MIN_BAR, MAX_BAR = 12, 60
LABEL = 30
SHOWN_PACKAGES, SHOWN_MODULES = 8, 5
SHOWN_SECONDS = 0.0005
BLOCKS = "█▓░"
VERDICT_STYLES = {
    Verdict.CONFIRMED_SLOWER: "red",
    Verdict.SUSPECTED_SLOWER: "yellow",
    Verdict.CONFIRMED_FASTER: "green",
}


def render(profile: Profile) -> Iterator[str]:
    seconds = profile.seconds
    spread = f"{seconds[0]:.3f} to {seconds[-1]:.3f} s, {len(seconds)} runs"
    yield f"{paint(f'{profile.median_seconds:.3f} s', 'bold', sys.stdout)} from nothing to serving ({spread})"
    yield ""
    yield from _waterfall(profile)
    if profile.inside is not None:
        yield from _imports(profile)
    yield ""
    yield from _advice(profile)
    if profile.comparison is not None:
        yield ""
        yield from _comparison(profile.comparison, profile.compared_with or "")
    if profile.budget_seconds is not None:
        yield ""
        kept = bool(profile.within_budget)
        word = paint("kept" if kept else "exceeded", "green" if kept else "red", sys.stdout)
        yield f"budget {profile.budget_seconds:g} s: {word} (median {profile.median_seconds:.3f} s)"


def _waterfall(profile: Profile) -> Iterator[str]:
    drawn = rows(profile, depth=2, least_share=0.02)
    end = max(row.start + row.seconds for row in drawn) or 1.0
    columns = shutil.get_terminal_size((80, 24)).columns
    width = max(MIN_BAR, min(MAX_BAR, columns - LABEL - 11))
    dark, light, other = _blocks()
    waits = {phase.name: phase.waiting_seconds for phase in profile.phases()}
    for row in drawn:
        bar = _bar(row, end, width, dark, light if row.kind == "phase" else other)
        label = f"{'  ' * row.depth}{row.label}"
        label = label if len(label) <= LABEL else f"{label[: LABEL - 1]}~"
        waited = waits.get(row.label) if row.kind == "phase" else None
        note = f"  waits {waited:.2f}" if waited is not None and waited >= 0.1 and columns >= 100 else ""
        yield f"{label:<{LABEL}} {bar:<{width}} {_time(row.seconds):>8}{note}".rstrip()
    yield paint(
        f"{dark} had the processor  {light} waited, or others had it  {other} imports and others",
        "dim",
        sys.stdout,
    )


def _bar(row: Row, end: float, width: int, dark: str, light: str) -> str:
    first = min(width - 1, int(row.start / end * width))
    length = max(1, min(width - first, round(row.seconds / end * width)))
    running = 0
    if row.dark_seconds is not None:
        running = min(length, round(length * row.dark_seconds / row.seconds)) if row.seconds else 0
    return " " * first + dark * running + light * (length - running)


def _imports(profile: Profile) -> Iterator[str]:
    assert profile.inside is not None
    inside = profile.inside
    costs = packages(inside.application, profile.own_packages, profile.entry)[:SHOWN_PACKAGES]
    costs = [cost for cost in costs if cost.seconds >= SHOWN_SECONDS]
    yield ""
    yield (
        f"{inside.modules} modules imported by the application in {total_seconds(inside.application):.3f} s"
        f" (watched run); the server's own took {total_seconds(inside.server):.3f} s"
    )
    if costs:
        yield from table(
            ("PACKAGE", "SECONDS", "OWN", "MODULES", "IMPORTED BY"),
            [
                [c.package, f"{c.seconds:.3f}", f"{c.own_seconds:.3f}", str(c.modules), c.importer]
                for c in costs
            ],
        )
    own = [m for m in slowest(inside.application, SHOWN_MODULES) if m.self_seconds >= 0.005]
    if own:
        shown = ", ".join(f"{module.name} {_time(module.self_seconds)}" for module in own)
        yield f"slowest by themselves: {shown}"


def _advice(profile: Profile) -> Iterable[str]:
    found = profile.advice()
    if not found:
        return ["nothing found that would save much"]
    lines = ["what would help most:"]
    for number, one in enumerate(found, 1):
        saves = "" if one.saves_seconds is None else f" (saves up to {_time(one.saves_seconds)})"
        lines.append(f"  {number}. {paint(one.title, 'bold', sys.stdout)}{saves}")
        lines.append(f"     {one.action}")
        lines.append(paint(f"     {one.evidence}", "dim", sys.stdout))
    return lines


def _comparison(found: Comparison, release: str) -> Iterator[str]:
    style = VERDICT_STYLES.get(found.verdict)
    verdict = paint(found.verdict.value, style, sys.stdout) if style else found.verdict.value
    yield f"against release {release}: {verdict}"
    if found.verdict is not Verdict.UNKNOWN:
        p = "" if found.p_value is None else f", p = {found.p_value:.2g}"
        yield (
            f"  {found.old_seconds:.3f} s before, {found.new_seconds:.3f} s now, ratio {found.ratio:.3f}{p},"
            f" n = {found.n}: {found.method}"
        )
    if found.why:
        yield f"  {found.why}"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _blocks() -> tuple[str, str, str]:
    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "#", "-", "="
    return BLOCKS[0], BLOCKS[2], BLOCKS[1]
