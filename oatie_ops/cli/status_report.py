"""What a supervisor says about itself, as lines for people and as an exit code. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from oatie_ops.cli.human import age, count, size, table
from oatie_ops.cli.output import paint
from oatie_ops.exit_codes import ExitCode

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
