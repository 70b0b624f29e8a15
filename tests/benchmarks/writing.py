"""A run's reports as Markdown and as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tests.benchmarks.report import Figure, Report, missed, peer_wins, rows

SCHEMA = "oatie.benchmarks/v1"


@dataclass(frozen=True)
class Run:
    """When and where: ``taken_at`` as ISO 8601, ``seconds`` in all, ``machine`` in plain words."""

    taken_at: str
    machine: str
    seconds: float
    quick: bool
    reports: tuple[Report, ...]

    @property
    def figures(self) -> list[Figure]:
        return [figure for report in self.reports for figure in report.figures]


def as_json(run: Run) -> str:
    reports = [
        {
            "name": report.name,
            "title": report.title,
            "figures": [{**asdict(figure), "met": figure.met} for figure in report.figures],
            "left_out": dict(report.left_out),
            "failed": report.failed,
        }
        for report in run.reports
    ]
    about = {"schema": SCHEMA, "taken_at": run.taken_at, "machine": run.machine, "seconds": run.seconds}
    wins = {"peers_win": peer_wins(run.figures), "missed": missed(run.figures)}
    return json.dumps({**about, "quick": run.quick, "reports": reports, **wins}, indent=1)


def as_markdown(run: Run, plots: Sequence[str] = ()) -> str:
    """``plots``: the names of the reports that have a picture beside the table."""
    kind = "quick run" if run.quick else "run"
    lines = [f"Measured {run.taken_at} on {run.machine}, one {kind} of {run.seconds:.0f} s.", ""]
    for report in run.reports:
        lines += [f"## {report.title}", "", *_table(report), ""]
        lines += [f"- {peer} was left out: {why}" for peer, why in report.left_out]
        if report.name in plots:
            lines += ["", f"![{report.title}]({report.name}.svg)"]
        lines.append("")
    lines += _list("Where a peer wins", peer_wins(run.figures), "Nowhere in this run.")
    lines += _list("Promises that were missed", missed(run.figures), "None in this run.")
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def _table(report: Report) -> list[str]:
    if not report.figures:
        return [f"Nothing was measured: {report.failed or 'no peer was there'}."]
    head, *body = rows(report.figures)
    lines = [_row(head), "|" + "---|" * len(head)]
    return lines + [_row(cells) for cells in body]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _list(title: str, sentences: Sequence[str], none: str) -> list[str]:
    return [f"## {title}", "", *([f"- {sentence}" for sentence in sentences] or [none]), ""]
