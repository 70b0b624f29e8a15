"""What ``oatie status`` prints: what the running supervisor says about itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from oatie_ops.cli.context import Context
from oatie_ops.cli.human import age, count, size, table
from oatie_ops.cli.output import emit_json, emit_report, paint
from oatie_ops.cli.remembered import refresh
from oatie_ops.exit_codes import ExitCode
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.client import ControlClient, NotRunning

EXIT_CODES = {"running": ExitCode.OK, "failed": ExitCode.FAILED, "not running": ExitCode.FAILED}
STYLES = {"running": "green", "failed": "red", "not running": "red"}
# Short enough for 80 columns; ACTIVE are requests in flight, CONNS open connections.
COLUMNS = ("ID", "PID", "STATE", "RELEASE", "UP", "MEMORY", "REQS", "ERRORS", "ACTIVE", "CONNS")
SCHEMA = "oatie.status/v1"
# What the stage of a switch means.
STAGES = {
    "opened": "its workers are being started",
    "spawned": "its workers are being gated",
    "gated": "its workers are ready, and are about to take over",
    "promoted": "it serves and is being watched (drain, bake)",
}

Status = Mapping[str, Any]


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


def exit_code(status: Status) -> ExitCode:
    return EXIT_CODES.get(status["state"], ExitCode.DEGRADED)


def render(status: Status, now: float) -> list[str]:
    """Lines for people. ``now`` is seconds since the epoch, as ``started_at`` is."""
    state = status["state"]
    lines = [paint(state, STYLES.get(state, "yellow"), sys.stdout) + _headline(status, now)]
    if status.get("detail"):
        lines.append(f"  {status['detail']}")
        lines += [f"    | {line}" for line in (status.get("last_end") or {}).get("log", ())]
    lines += _switch_lines(status)
    lines += [f"{name}  {status[name]['url']}" for name in ("app", "ops") if status[name].get("url")]
    if status["workers"]:
        lines += ["", *table(COLUMNS, [_row(worker, now) for worker in status["workers"]])]
    return lines


def _headline(status: Status, now: float) -> str:
    supervisor = status["supervisor"]
    parts: list[str] = []
    if serving := _serving(status):
        parts.append(f"release {serving}")
    if supervisor.get("started_at"):
        parts.append(f"up {age(now - supervisor['started_at'])}")
    if supervisor.get("pid"):
        parts.append(f"pid {supervisor['pid']}")
    return "".join(f"  {part}" for part in parts)


def _serving(status: Status) -> str | None:
    """What users get: a promoted release before its commit, too."""
    switch = status.get("switch") or {}
    return switch["release"] if switch.get("stage") == "promoted" else status.get("release")


def _switch_lines(status: Status) -> list[str]:
    switch = status.get("switch")
    if not switch:
        return []
    new, old = switch["release"], status.get("release")
    verb = "reloading" if new == old else "deploying"
    line = f"  {verb} release {new}: {STAGES.get(switch['stage'], switch['stage'])}"
    keeps = f"; release {old} stands by" if switch["stage"] == "promoted" and old not in (None, new) else ""
    return [line + keeps]


def _row(worker: Mapping[str, Any], now: float) -> list[str]:
    started, rss = worker.get("started_at"), worker.get("rss_bytes")
    counts = [worker.get(key) for key in ("requests", "errors", "in_flight", "connections")]
    return [
        str(worker["id"]),
        str(worker.get("pid") or ""),
        str(worker.get("state") or ""),
        str(worker.get("release") or ""),
        age(now - started) if started else "",
        size(rss) if rss else "",
        *("" if each is None else count(each) for each in counts),
    ]
