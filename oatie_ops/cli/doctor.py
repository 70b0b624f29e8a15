"""``oatie doctor``: what each target and each kind of check needs, whether it is here, and how to get it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from oatie_ops.cli.choices import require_one_of
from oatie_ops.cli.human import table
from oatie_ops.cli.output import emit_json, emit_report, paint, terminal_columns
from oatie_ops.exit_codes import ExitCode

if TYPE_CHECKING:
    from oatie_ops.cli.findings import Finding

SCHEMA = "oatie.doctor/v1"
STYLES = {"ok": "green", "missing": "red", "absent": "yellow"}
WORDS = {"ok": "✓ ok", "missing": "✗ missing", "absent": "- not here"}
PLAIN_WORDS = {"ok": "ok", "missing": "MISSING", "absent": "not here"}
TARGETS = ("process", "docker", "swarm", "kubernetes")


def command(
    target: Annotated[
        str | None,
        typer.Option("--target", help=f"One of {', '.join(TARGETS)}.", metavar="TARGET"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object with a stable shape.")] = False,
) -> int:
    """Tell what is missing here for which target, with the command that installs it.

    Nothing is changed, and nothing is asked of the network beyond this host's Docker Engine. Exits 0, or 5
    where the target that was named (without one: this host's own, `process`) cannot be used from here.
    """
    from oatie_ops.cli.findings import look

    if target is not None:
        require_one_of("--target", target, TARGETS)
    found = look()
    wanted = target or "process"
    usable = all(each.state == "ok" for each in found if wanted in each.needed_by)
    if target is not None:
        found = [each for each in found if target in each.needed_by]
    if json:
        rows = [asdict(each) for each in found]
        emit_json({"schema": SCHEMA, "target": wanted, "usable": usable, "findings": rows})
    else:
        emit_report("\n".join(render(found)))
    return ExitCode.OK if usable else ExitCode.PREREQUISITE_MISSING


def render(found: list[Finding]) -> list[str]:
    from oatie_ops.cli.health_text import can_show

    words = WORDS if can_show("✓✗", sys.stdout) else PLAIN_WORDS
    rows = [[words[each.state], each.name, each.said, ", ".join(each.needed_by)] for each in found]
    lines = table(("STATE", "WHAT", "FOUND", "FOR"), rows, terminal_columns(sys.stdout), short_first=True)
    fixes = [f"  {each.name}: {each.fix}" for each in found if each.fix]
    return [*map(_painted, lines), *(["", "To get what is not here:", *fixes] if fixes else [])]


def _painted(line: str) -> str:
    """The state in its colour; a line that goes on with the one above has none."""
    for words in (WORDS, PLAIN_WORDS):
        for state, word in words.items():
            if line.startswith(f"{word} "):
                return paint(word, STYLES[state], sys.stdout) + line[len(word) :]
    return line
