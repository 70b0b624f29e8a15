"""``oatie dashboard``: a link that signs the owner's browser in, once."""

from __future__ import annotations

from typing import Annotated

import typer

from oatie_ops.cli.context import Context
from oatie_ops.cli.output import emit, emit_json, say
from oatie_ops.supervisor.client import ControlClient

SCHEMA = "oatie.dashboard/v1"
PATH = "/health/dashboard/links"


def command(
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser of this machine.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="The browser may look, and press nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object with a stable shape.")] = False,
) -> None:
    """Print a link to the dashboard that signs a browser in.

    The link works once and for two minutes; the session it opens ends after two hours without use. Only
    the owner of the supervisor can make one: it is asked for over the Unix socket. On a server, forward
    the port first: ssh -L 8000:127.0.0.1:8000 HOST.
    """
    client = ControlClient(Context().paths.control_socket)
    link = client.call("POST", f"{PATH}?scope={'read' if read_only else 'operate'}")
    if json:
        emit_json({"schema": SCHEMA, **link})
    else:
        emit(str(link["url"]))
        say(f"It signs one browser in, within {link['expires_seconds']:g} s.")
    if open_:
        _open(str(link["url"]))


def _open(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        say("No browser could be opened here; open the link yourself.")
