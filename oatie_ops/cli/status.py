"""``oatie status``: what the running supervisor says about itself."""

from __future__ import annotations

from typing import Annotated

import typer

from oatie_ops.cli.status_report import show


def command(
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object, the same shape in every state.")
    ] = False,
) -> int:
    """Show what runs: release, workers, addresses, and a deploy that is under way.

    Exits 0 when it runs, 1 when it failed or does not run, 3 when it is degraded, starting or stopping.
    """
    return show(as_json=json)
