"""``--ci github``: failures as annotations of the run, outcomes in the summary of the job.

Protocol: GitHub Actions' workflow commands (``::error file=…,line=…,title=…::text``), which the runner reads
from stderr too, and the Markdown file that ``$GITHUB_STEP_SUMMARY`` names.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from oatie_ops.cli.wishes import current
from oatie_ops.errors import OatieError
from oatie_ops.redaction import redact

LEVELS: Mapping[str, str] = {"error": "error", "warning": "warning"}


def wanted() -> bool:
    return current.wishes.ci == "github"


def annotate(error: OatieError) -> None:
    """One annotation; for a wrong configuration one for each issue, where it stands."""
    issues = error.data.get("issues")
    if isinstance(issues, list) and issues:
        return annotate_issues(issues)
    text = "\n".join(part for part in (error.why, *error.details, error.fix) if part)
    _write([command("error", text or error.what, title=error.what)])


def annotate_issues(issues: Iterable[Mapping[str, Any]]) -> None:
    """``issues`` as `oatie_ops.config.issues.Issue.as_dict` gives them."""
    _write(
        command(
            LEVELS.get(str(issue["severity"]), "notice"),
            "\n".join(str(part) for part in (issue["message"], issue["hint"]) if part),
            title=f"{issue['path'] or issue['code']}",
            file=issue["file"],
            line=issue["line"],
            col=issue["column"],
        )
        for issue in issues
    )


def summarize(title: str, head: Sequence[str], rows: Sequence[Sequence[object]], more: str = "") -> None:
    """Adds a table to the job's summary; a runner without one is told nothing."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    lines = [f"### {title}", "", _row(head), _row(["---"] * len(head)), *map(_row, rows), ""]
    text = "\n".join([*lines, *([more, ""] if more else [])])
    try:
        with open(file, "a", encoding="utf-8") as summary:  # noqa: PTH123 - as the runner named it
            summary.write(redact(text) + "\n")
    except OSError as error:
        sys.stderr.write(f"the job's summary was not written: {error}\n")


def command(level: str, text: str, **properties: object) -> str:
    """One workflow command; what would end a property or the line is escaped as the runner expects."""
    given = [f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None]
    return f"::{level} {','.join(given)}::{_data(redact(text))}"


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(redact(text)).replace(":", "%3A").replace(",", "%2C")


def _write(commands: Iterable[str]) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in commands))
    sys.stderr.flush()
