"""``oatie start``: the supervisor in the foreground, in the background, or with reload on change."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oatie_ops.cli.choice import Choice, choose
from oatie_ops.cli.context import Context
from oatie_ops.cli.output import emit_json, emit_report, say
from oatie_ops.cli.waiting import waiting_for
from oatie_ops.errors import UsageError
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.pidfile import live_owner

if TYPE_CHECKING:
    from oatie_ops.supervisor.main import OpsServices
    from oatie_ops.supervisor.supervisor import Supervisor

# Imported by the supervisor, once its workers serve.
OPS_FACTORY = "oatie_ops.api.services:ops_services"
LOG_LEVELS = ("critical", "error", "warning", "info", "debug", "trace")


def command(
    *,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65535, help="Listen on this port.", metavar="PORT"),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Listen on this address (0.0.0.0: all).", metavar="ADDRESS")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, help="How many processes.", metavar="N")
    ] = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="This checkout, one worker, reload on change, debug log.")
    ] = False,
    daemon: Annotated[
        bool,
        typer.Option("--daemon", "-d", help="In the background; returns when it serves, or says why not."),
    ] = False,
    health_check: Annotated[
        bool,
        typer.Option("--health-check", help="Return only when it is healthy; a daemon always does."),
    ] = False,
    pid_file: Annotated[
        Path | None, typer.Option("--pid-file", help="Write the supervisor's pid here too.", metavar="FILE")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", help=f"One of {', '.join(LOG_LEVELS)}.", metavar="LEVEL")
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", help="Variables for the application (KEY=value lines).", metavar="FILE"),
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option("--environment", "-e", help="Use [environments.NAME] of oatie.toml.", metavar="NAME"),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="With --daemon: the status as one JSON object.")
    ] = False,
) -> int | None:
    """Run the application under the supervisor.

    The release that was deployed last is run, or this checkout where none was deployed, or the built-in
    demo where there is no application. In the foreground SIGTERM and Ctrl-C stop it gracefully (a second
    one at once), SIGHUP reloads, SIGUSR1 reopens the log file.
    """
    if dev and daemon:
        raise UsageError("--dev runs in the foreground", fix="leave out --daemon")
    if json and not daemon:
        raise UsageError("--json tells how the start of a daemon went", fix="add --daemon")
    context = Context(
        environment=environment,
        overrides=given_overrides(port=port, host=host, workers=workers, log_level=log_level, dev=dev),
        env_file=env_file,
        lives_long=not daemon,
    )
    paths = context.paths
    if not dev and not live_owner(paths.supervisor_pid):
        from oatie_ops.cli.on_engine import serving_engine, start_on_engine

        if (engine := serving_engine(paths)) is not None:
            return start_on_engine(context, engine, as_json=json)
    choice = choose(context.loaded, paths, dev=dev, log_level=log_level)
    for note in choice.notes:
        say(f"oatie: {note}")
    say(f"oatie: starting {choice.what}")
    pid_file = pid_file.absolute() if pid_file else None
    if daemon:
        _in_background(choice, paths, pid_file, as_json=json)
        return None
    return _in_foreground(choice, paths, pid_file, dev=dev, health_check=health_check)


def given_overrides(
    *,
    port: int | None = None,
    host: str | None = None,
    workers: int | None = None,
    log_level: str | None = None,
    dev: bool = False,
) -> dict[str, Any]:
    """Dotted path to value, for the configuration loader: only what was said."""
    values: dict[str, Any] = {
        "app.port": port,
        "app.host": host,
        "app.workers": workers if workers is not None or not dev else 1,
        "app.log_level": log_level or ("debug" if dev else None),
        "app.debug": True if dev else None,
    }
    return {path: value for path, value in values.items() if value is not None}


def _ops_services(view: Supervisor) -> OpsServices:
    """`OPS_FACTORY`; called in a thread, once the workers serve, because its imports take long."""
    from oatie_ops.api.services import ops_services

    return ops_services(view)


def _in_foreground(
    choice: Choice, paths: StatePaths, pid_file: Path | None, *, dev: bool, health_check: bool
) -> int:
    from oatie_ops.supervisor import prestart
    from oatie_ops.supervisor.main import RunOptions, run

    options = RunOptions(
        pid_file=pid_file,
        dev=dev,
        health_check=health_check,
        forkserver=prestart.take(),
        ops=_ops_services,
    )
    return run(choice.settings, paths, choice.spec, options)


def _in_background(choice: Choice, paths: StatePaths, pid_file: Path | None, *, as_json: bool) -> None:
    from oatie_ops.cli.status_report import render
    from oatie_ops.supervisor.daemon import start

    with waiting_for("waiting until it is healthy", quiet=as_json):
        status = start(
            choice.settings,
            paths,
            choice.spec,
            pid_file=pid_file,
            ops_factory=OPS_FACTORY,
            on_trying=lambda why: say(f"not yet, trying again: {why}"),
        )
    if as_json:
        emit_json({"schema": "oatie.status/v1", **status})
    else:
        emit_report("\n".join(render(status, time.time())))
