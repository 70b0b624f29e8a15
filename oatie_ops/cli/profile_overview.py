"""``oatie profile --overview``: the score and its parts, resources, starts and scaling on one page."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from oatie_ops.cli.context import Context
from oatie_ops.cli.human import table
from oatie_ops.cli.output import emit_json, emit_report, paint
from oatie_ops.cli.profile_resources import TIMEOUT_SECONDS
from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.supervisor.client import ControlClient, NotRunning

SCHEMA = "oatie.performance-overview/v1"
GOOD, FAIR = 75.0, 40.0
MAX_RELEASES = 5


def show_overview(hours: float, *, as_json: bool) -> int:
    """Exits 0 with a score of 75 and more, 3 below that or where it is not known."""
    document = {"schema": SCHEMA, **_fetch(Context(), hours)}
    if as_json:
        emit_json(document)
    else:
        emit_report("\n".join(render(document)))
    score = document["score"]
    return ExitCode.OK if score is not None and score >= GOOD else ExitCode.DEGRADED


def _fetch(context: Context, hours: float) -> dict[str, Any]:
    client = ControlClient(context.paths.control_socket)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            return client.call("GET", f"/api/performance/overview?hours={hours:g}")
        except NotRunning:
            return _read(context, hours)
        except OatieError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _read(context: Context, hours: float) -> dict[str, Any]:
    """Without a supervisor: from what was measured before."""
    from oatie_ops.performance.overview import overview
    from oatie_ops.performance.samples import samples_path
    from oatie_ops.performance.startstats import read_stats
    from oatie_ops.performance.trends import read_trends
    from oatie_ops.scaling.engine import advise
    from oatie_ops.scaling.live import facts_of, setup_of

    path, settings = samples_path(context.paths.home), context.loaded.settings
    scaling = advise(context.paths.home, facts_of(settings), setup=setup_of(settings.scale)).as_dict()
    return overview(None, read_trends(path, hours), read_stats(path), scaling).as_dict()


def render(document: Mapping[str, Any]) -> Iterator[str]:
    score = document["score"]
    if score is None:
        yield "no score: nothing was measured in this time (a running supervisor measures)"
    else:
        style = "green" if score >= GOOD else "yellow" if score >= FAIR else "red"
        text = paint(f"{score:.0f} of 100 ({document['grade']})", style, sys.stdout)
        covered = f"{100 * document['coverage']:.0f} % of it measured"
        yield f"score {text} over the last {document['hours']:g} h, {covered}"
    yield ""
    yield from table(
        ("PART", "WEIGHT", "SCORE", "VALUE", "WHAT"), [_part(part) for part in document["parts"]]
    )
    yield ""
    for finding in document["findings"]:
        yield paint(finding["message"], "yellow", sys.stdout)
    yield from _starts(document["startup"])
    yield from _scaling(document["scaling"])


def _part(part: Mapping[str, Any]) -> list[str]:
    score, value = part["score"], part["value"]
    note = f" ({part['note']})" if part["note"] else ""
    return [
        part["name"],
        f"{part['weight']:g}",
        "unknown" if score is None else f"{score:.0f}",
        "" if value is None else f"{value:.3g}",
        f"{part['what']}{note}",
    ]


def _starts(startup: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [
            stats["kind"],
            stats["release"],
            str(stats["count"]),
            f"{stats['median_seconds']:.3f}",
            f"{stats['p95_seconds']:.3f}",
            max(stats["phases"], key=lambda phase: phase["median_seconds"], default={"name": ""})["name"],
        ]
        for stats in startup["releases"][:MAX_RELEASES]
    ]
    if not rows:
        yield "no start was recorded yet"
        return
    yield from table(("STARTS", "RELEASE", "COUNT", "MEDIAN", "P95", "LONGEST PHASE"), rows)
    regression = startup["regression"]
    if regression is not None and regression["verdict"].startswith(("suspected", "confirmed")):
        yield f"release {regression['new']} against {regression['old']}: {regression['verdict']}"
    for one in startup["recommendations"]:
        saves = "" if one["saves_seconds"] is None else f" (saves up to {one['saves_seconds']:.2f} s)"
        yield f"start: {one['title']}{saves}"


def _scaling(scaling: Mapping[str, Any] | None) -> Iterator[str]:
    if scaling is None:
        return
    yield ""
    for one in scaling["recommendations"]:
        yield f"scaling: {one['title']} ({one['priority']}, confidence {one['confidence']})"
    for one in scaling["unknown"]:
        yield paint(f"scaling: {one['type']} unknown: {one['reason']}; {one['needs']}", "dim", sys.stdout)
