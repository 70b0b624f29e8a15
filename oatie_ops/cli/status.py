"""``oatie status``: what the running supervisor says about itself."""

from __future__ import annotations

from typing import Annotated

import typer

from oatie_ops.cli.status_answer import show
from oatie_ops.errors import UsageError


def command(
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object, the same shape in every state.")
    ] = False,
    all: Annotated[
        bool, typer.Option("--all", help="Ask each replica on the engine what its own oatie says.")
    ] = False,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="With --all: how long a replica may take; 15s.")
    ] = None,
) -> int:
    """Show what runs: release, workers, addresses, and a deploy that is under way.

    Exits 0 when it runs, 1 when it failed or does not run, 3 when it is degraded, starting or stopping; with
    --all also 3 when a replica cannot be asked.
    """
    if all:
        from oatie_ops.cli import replicas

        return replicas.show_status(replicas.patience(timeout), as_json=json)
    if timeout is not None:
        raise UsageError("--timeout is for --all", fix="add --all")
    return show(as_json=json)
