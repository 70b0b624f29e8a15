"""``oatie scale`` and ``oatie scale --apply``: the advice, for people and programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oatie_ops.cli.context import Context
from oatie_ops.cli.human import size, table
from oatie_ops.cli.output import emit_json, emit_report, paint
from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.supervisor.client import ControlClient, NotRunning

ADVICE_TIMEOUT_SECONDS = 60.0
BARS = "▁▂▃▄▅▆▇█"
GAP = " "
SPARK_WIDTH = 72
SPARK_HOURS = 24.0
COLORS = {"high": "red", "medium": "yellow", "low": "green"}

Document = Mapping[str, Any]


def show(*, as_json: bool) -> int:
    """0 where there is advice, 3 where too little is known for any."""
    context = Context()
    document, following = fetch(context)
    if as_json:
        emit_json({"schema": "oatie.scale/v1", **document, "following": following})
    else:
        for line in lines(context, document, following):
            emit_report(line)
    return ExitCode.OK if document["recommendations"] else ExitCode.DEGRADED


def apply(*, as_json: bool) -> int:
    """The number of workers, or of replicas where an engine runs them. The rest is not ours to change."""
    context = Context()
    document, _ = fetch(context)
    from oatie_ops.cli.on_engine import serving_engine
    from oatie_ops.cli.scale_change import change_to

    kind = "workers" if serving_engine(context.paths) is None else "replicas"
    found = next((one for one in document["recommendations"] if one["type"] == kind), None)
    if found is None:
        unknown = next((one for one in document["unknown"] if one["type"] == kind), None)
        raise OatieError(
            f"there is no recommendation of {kind} to apply",
            why=f"{unknown['reason']}: it {unknown['needs']}" if unknown else "",
            fix=f"or say how many: oatie scale {kind}=4",
            exit_code=ExitCode.DEGRADED,
        )
    return change_to([f"{kind}={int(found['value'])}"], as_json=as_json)


def fetch(context: Context) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """From the running supervisor; without one, from what was measured while there was one."""
    client = ControlClient(context.paths.control_socket)
    try:
        following = client.call("GET", "/control/scaling")
        path = "/api/performance/scaling/recommendations"
        return client.call("GET", path, timeout_seconds=ADVICE_TIMEOUT_SECONDS), following
    except NotRunning:
        from oatie_ops.scaling.engine import advise
        from oatie_ops.scaling.live import facts_of, setup_of

        settings = context.loaded.settings
        return advise(context.paths.home, facts_of(settings), setup=setup_of(settings.scale)).as_dict(), None


def lines(context: Context, document: Document, following: Document | None) -> Iterator[str]:
    grade = document["grade"] or "-"
    yield f"history: {document['window']}; grade {grade} ({document['grade_means']})"
    yield from _spark(context)
    if following and following["auto"]:
        yield f"following the load with {following['min']} to {following['max']} workers: {following['said']}"
    for found in document["recommendations"]:
        yield ""
        yield from _recommendation(found)
    if document["what_if"]:
        yield ""
        yield from _what_if(document["what_if"])
    if document["policies"]:
        yield ""
        yield from _policies(document["policies"])
    if document["hpa"]:
        yield ""
        yield from document["hpa"].rstrip("\n").split("\n")
    if document["unknown"]:
        yield ""
        yield "not known yet:"
        for one in document["unknown"]:
            yield f"  {one['type']}: {one['reason']}; {one['needs']}"


def _recommendation(found: Document) -> Iterator[str]:
    mark = paint(found["priority"].upper(), COLORS[found["priority"]], sys.stdout)
    yield f"{mark}  {paint(found['title'], 'bold', sys.stdout)}"
    yield f"  {found['description']}"
    yield f"  do:       {found['action']}"
    yield f"  effect:   {found['estimated_impact']}"
    yield f"  effort:   {found['complexity']}; confidence: {found['confidence']}"
    evidence = found["evidence"]
    numbers = ", ".join(f"{name} {_number(value)}" for name, value in evidence["numbers"].items())
    yield f"  evidence: {numbers}"
    yield f"            {evidence['formula']}"
    yield f"            {evidence['window']}; {evidence['source']}"


def _number(value: Any) -> str:
    if value is None:
        return "any"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _what_if(rows: Sequence[Document]) -> Iterator[str]:
    yield paint("what if", "bold", sys.stdout)
    cells = [
        (
            str(row["workers"]),
            f"{row['requests_per_s']:.0f}/s",
            "-" if row["peak_load_share"] is None else f"{row['peak_load_share']:.0%}",
            size(int(row["memory_bytes"])),
        )
        for row in rows
    ]
    yield from table(("WORKERS", "AT MOST", "BUSIEST MINUTES (P99)", "MEMORY"), cells)


def _policies(rows: Sequence[Document]) -> Iterator[str]:
    yield paint("replayed on this history", "bold", sys.stdout)
    cells = [
        (
            row["policy"],
            f"{row['mean_replicas']:.2f}",
            f"{row['violations']:.2%}",
            "kept" if row["within_budget"] else "missed",
        )
        for row in rows
    ]
    yield from table(("POLICY", "REPLICAS", "VIOLATED", "BUDGET"), cells)


def _spark(context: Context) -> Iterator[str]:
    from oatie_ops.performance.samples import history, samples_path

    found = history(samples_path(context.paths.home), "app.arrivals_per_s", hours=SPARK_HOURS)
    known = [value for value, count in zip(found.means, found.counts, strict=True) if count]
    if not known:
        return
    values = [value if count else None for value, count in zip(found.means, found.counts, strict=True)]
    yield f"requests/s, last {SPARK_HOURS:.0f} h, {min(known):.1f} to {max(known):.1f}:"
    yield spark(values, SPARK_WIDTH)


def spark(values: Sequence[float | None], width: int) -> str:
    """The peak of each part as a bar; a part without measurements stays empty."""
    top = max((value for value in values if value is not None), default=0.0)
    bars = []
    for part in range(width):
        known = [
            value
            for value in values[part * len(values) // width : (part + 1) * len(values) // width]
            if value is not None
        ]
        level = round(max(known) / top * (len(BARS) - 1)) if known and top > 0 else 0
        bars.append(BARS[level] if known else GAP)
    return "".join(bars)
