"""``oatie start``: the supervisor in the foreground, in the background, or with reload on change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oatie_ops.cli.options import Environment
from oatie_ops.cli.start_run import StartOptions, start

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
    environment: Environment = None,
    json: Annotated[
        bool, typer.Option("--json", help="With --daemon: the status as one JSON object.")
    ] = False,
) -> int | None:
    """Run the application under the supervisor.

    The release that was deployed last is run, or this checkout where none was deployed, or the built-in
    demo where there is no application. In the foreground SIGTERM and Ctrl-C stop it gracefully (a second
    one at once), SIGHUP reloads, SIGUSR1 reopens the log file.
    """
    return start(
        StartOptions(
            port=port,
            host=host,
            workers=workers,
            dev=dev,
            daemon=daemon,
            health_check=health_check,
            pid_file=pid_file,
            log_level=log_level,
            env_file=env_file,
            environment=environment,
            json=json,
        )
    )
