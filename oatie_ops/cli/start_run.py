"""What `oatie start` does, once its options are known. On the way to the first answer: imports little."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oatie_ops.cli.choice import Choice, choose
from oatie_ops.cli.context import Context
from oatie_ops.cli.output import emit_json, emit_report, say
from oatie_ops.errors import UsageError
from oatie_ops.paths import StatePaths
from oatie_ops.records import dataclass
from oatie_ops.supervisor.pidfile import live_owner

if TYPE_CHECKING:
    from oatie_ops.supervisor.options import OpsFactory, OpsServices
    from oatie_ops.supervisor.supervisor import Supervisor

# Imported by the supervisor, once its workers serve.
OPS_FACTORY = "oatie_ops.api.services:ops_services"


@dataclass(frozen=True)
class StartOptions:
    """The options of the command line, as `oatie_ops.cli.start` declares them."""

    port: int | None = None
    host: str | None = None
    workers: int | None = None
    dev: bool = False
    daemon: bool = False
    health_check: bool = False
    pid_file: Path | None = None
    log_level: str | None = None
    env_file: Path | None = None
    environment: str | None = None
    json: bool = False


def start(options: StartOptions) -> int | None:
    """The exit code of a start in the foreground, when it is over."""
    dev, daemon = options.dev, options.daemon
    if dev and daemon:
        raise UsageError("--dev runs in the foreground", fix="leave out --daemon")
    if options.json and not daemon:
        raise UsageError("--json tells how the start of a daemon went", fix="add --daemon")
    context = Context(
        environment=options.environment,
        overrides=given_overrides(
            port=options.port,
            host=options.host,
            workers=options.workers,
            log_level=options.log_level,
            dev=dev,
        ),
        env_file=options.env_file,
        meanwhile=None if daemon else _import_supervisor,
    )
    paths = context.paths
    if not dev and not live_owner(paths.supervisor_pid):
        from oatie_ops.cli.on_engine import serving_engine, start_on_engine

        if (engine := serving_engine(paths)) is not None:
            return start_on_engine(context, engine, as_json=options.json)
    choice = choose(context.loaded, paths, dev=dev, log_level=options.log_level)
    for note in choice.notes:
        say(f"oatie: {note}")
    say(f"oatie: starting {choice.what}")
    pid_file = options.pid_file.absolute() if options.pid_file else None
    if daemon:
        _in_background(choice, paths, pid_file, as_json=options.json)
        context.loaded.remember()
        return None

    def ops(view: Supervisor) -> OpsServices:
        """`OPS_FACTORY`; called in a thread, once the workers serve, because its imports take long."""
        from oatie_ops.api.services import ops_services

        context.loaded.remember()  # the first start has made the place for it
        return ops_services(view)

    return _in_foreground(choice, paths, pid_file, ops, dev=dev, health_check=options.health_check)


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


def _import_supervisor() -> None:
    """While the configuration is validated in another process."""
    import oatie_ops.supervisor.main  # noqa: F401


def _in_foreground(
    choice: Choice,
    paths: StatePaths,
    pid_file: Path | None,
    ops: OpsFactory,
    *,
    dev: bool,
    health_check: bool,
) -> int:
    from oatie_ops.supervisor import prestart
    from oatie_ops.supervisor.main import run
    from oatie_ops.supervisor.options import RunOptions

    options = RunOptions(
        pid_file=pid_file,
        dev=dev,
        health_check=health_check,
        forkserver=prestart.take(),
        ops=ops,
    )
    gc.enable()
    return run(choice.settings, paths, choice.spec, options)


def _in_background(choice: Choice, paths: StatePaths, pid_file: Path | None, *, as_json: bool) -> None:
    from oatie_ops.cli.status_report import render
    from oatie_ops.cli.waiting import waiting_for
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
