"""``oatie schema``: the documented, versioned shape of what commands print with ``--json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oatie_ops.cli.choices import require_one_of
from oatie_ops.cli.output import emit, emit_json, emit_report

SCHEMA = "oatie.schema/v1"
DIRECTORY = Path(__file__).parent / "schemas"
# Commands whose shape has another name: several share it, or what they print is a schema itself.
SHAPES = {
    "config.show": "config",
    "completion.install": "completion",
    "completion.show": "completion.script",
    "start": "status",
    "token": "tokens",
    "token.create": "tokens",
    "token.list": "tokens",
    "token.revoke": "tokens",
}
Json = Annotated[bool, typer.Option("--json", help="What is printed is JSON already; the names as a list.")]


def command(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]", help="Such as `status`, or `config check`.")
    ] = None,
    json: Json = False,
) -> None:
    """Print the JSON Schema (draft 2020-12) of what a command prints with --json.

    Without COMMAND: the names there are. Within a version (`oatie.status/v1`) keys are only added.
    """
    known = names()
    if not words:
        if json:
            emit_json({"schema": SCHEMA, "schemas": known})
        else:
            emit_report("\n".join(known))
        return
    name = ".".join(words)
    name = SHAPES.get(name, name)
    require_one_of("schema", name, known)
    emit((DIRECTORY / f"{name}.json").read_text(encoding="utf-8").rstrip("\n"))


def names() -> list[str]:
    return sorted(file.name.removesuffix(".json") for file in DIRECTORY.glob("*.json"))
