"""``oatie status``: asks whatever serves here, and prints what it says about itself."""

from __future__ import annotations

import time
from typing import Any

from oatie_ops.cli.context import Context
from oatie_ops.cli.output import emit_json, emit_report
from oatie_ops.cli.remembered import refresh
from oatie_ops.cli.status_report import SCHEMA, exit_code, render
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.client import ControlClient, NotRunning


def show(*, as_json: bool) -> int:
    """Prints the status of this project's supervisor and returns the exit code."""
    context = Context()
    status = fetch(context.paths)
    if as_json:
        emit_json({"schema": SCHEMA, **status})
    else:
        emit_report("\n".join(render(status, time.time())))
    refresh(context, [str(worker["id"]) for worker in status["workers"]])
    return exit_code(status)


def fetch(paths: StatePaths) -> dict[str, Any]:
    """The supervisor's answer, or that of the engine of containers; the same shape where none runs."""
    try:
        return ControlClient(paths.control_socket).call("GET", "/control/status")
    except NotRunning as absent:
        from oatie_ops.cli.on_engine import serving_engine

        engine = serving_engine(paths)
        return not_running(paths, absent) if engine is None else engine.status()


def not_running(paths: StatePaths, absent: NotRunning) -> dict[str, Any]:
    from oatie_ops.supervisor.pidfile import live_owner

    owner = live_owner(paths.supervisor_pid)
    if owner is not None:
        state, detail = "starting", f"the supervisor (pid {owner.pid}) does not take orders yet"
    else:
        state, detail = "not running", f"{absent.why}; {absent.fix}"
    return {
        "supervisor": {
            "pid": owner.pid if owner else None,
            "started_at": None,
            "version": None,
            "rss_bytes": None,
        },
        "release": None,
        "state": state,
        "detail": detail,
        "workers": [],
        "wanted_workers": 0,
        "restarts": 0,
        "last_reload": None,
        "last_end": None,
        "switch": None,
        "app": {"url": None, "port": None, "host": None, "name": None, "ready": None, "ready_host": None},
        "ops": {"url": None},
    }
