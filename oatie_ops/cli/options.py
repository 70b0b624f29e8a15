"""Options that several commands take alike."""

from __future__ import annotations

from typing import Annotated

import typer

Environment = Annotated[
    str | None,
    typer.Option("--environment", "-e", help="Use [environments.NAME] of oatie.toml.", metavar="NAME"),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the steps that would be done, and do nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
JsonEvents = Annotated[
    bool, typer.Option("--json", help="One JSON event a line; the last one is the result.")
]
WaitLock = Annotated[
    float,
    typer.Option("--wait-lock", min=0, metavar="SECONDS", help="How long to wait for another run to end."),
]
