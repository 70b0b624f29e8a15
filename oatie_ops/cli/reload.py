"""``oatie reload``: new workers of the same release, gated and switched to without losing a request."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from oatie_ops.cli.context import Context
from oatie_ops.cli.output import emit_json_line, emit_report, say
from oatie_ops.cli.waiting import Waiting
from oatie_ops.errors import OatieError
from oatie_ops.supervisor.client import ControlClient, error_from_dict

# A worker may take its whole ready_timeout or drain without an event in between.
SILENCE_SECONDS = 600.0

Event = Mapping[str, Any]


def command(
    json: Annotated[bool, typer.Option("--json", help="JSON lines: each event, the result last.")] = False,
) -> int | None:
    """Replace the workers by new ones of the same release without losing a request.

    The new workers have to be ready before one old worker stops. Where they are not, the old ones go on
    serving, and this command fails with the reason. SIGHUP to the supervisor does the same. A program that
    binds the port itself is restarted once its successor has proved ready; how long nothing answered is told.
    """
    begun = time.monotonic()
    context = Context()
    client = ControlClient(context.paths.control_socket)
    # A supervisor that hangs is told from a boot that takes long.
    serving = client.call("GET", "/control/status")
    if not json:
        _tell_drift(context, str(serving["release"]))
    result = _follow(client, as_json=json)
    failed = None if result["status"] == "reloaded" else failure(result)
    if json:
        return failed.exit_code if failed else None
    if failed:
        raise failed
    gap = f"; nothing answered for {result['gap_ms']} ms" if "gap_ms" in result else ""
    emit_report(f"reloaded in {time.monotonic() - begun:.1f}s{gap}")
    return None


def _tell_drift(context: Context, release: str) -> None:
    """A reload runs what was deployed: an edit of oatie.toml that waits for a deploy is told, not obeyed."""
    from oatie_ops.cli.choice import changed_since
    from oatie_ops.deployment.manifest import read

    if not release.isdecimal():  # the checkout itself
        return
    # A file that is wrong by now, or a release that cannot be read, is no reason not to reload.
    with contextlib.suppress(OatieError):
        made, now = read(context.paths.releases / release), context.loaded.settings.app
        for note in changed_since(release, made.app, now):
            say(f"oatie: {note}")


def _follow(client: ControlClient, *, as_json: bool) -> Event:
    """The result event. Shows the others as they come."""
    with Waiting(quiet=as_json) as waiting:
        for event in client.stream("POST", "/control/reload", timeout_seconds=SILENCE_SECONDS):
            if as_json:
                emit_json_line({**event, "schema": "oatie.reload/v1"})
            if event["event"] == "result":
                return event
            waiting.update(describe(event))
    raise OatieError(
        "the reload was cut off",
        why="the supervisor closed the connection before it reported a result",
        fix="see `oatie status` and `oatie logs`",
    )


def describe(event: Event) -> str:
    return f"{event.get('name', event['event'])}: {event.get('message', '')}"


def failure(result: Event) -> OatieError:
    return error_from_dict(
        result.get("error") or {"what": "the reload failed", "why": result.get("detail", "")}
    )
