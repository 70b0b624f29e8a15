"""``oatie status --all`` and ``oatie health --all``: what every replica on the engine says of itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oatie_ops.cli.asked import seconds_of
from oatie_ops.cli.context import Context
from oatie_ops.cli.health_report import exit_code as health_exit_code
from oatie_ops.cli.health_text import STYLES, state, symbol
from oatie_ops.cli.human import table
from oatie_ops.cli.output import emit, emit_json, folded, paint, terminal_columns
from oatie_ops.cli.status_answer import not_running
from oatie_ops.cli.status_report import STYLES as STATE_STYLES
from oatie_ops.cli.status_report import exit_code as status_exit_code
from oatie_ops.cli.waiting import waiting_for
from oatie_ops.errors import OatieError
from oatie_ops.health.words import SEVERITY, WORDS
from oatie_ops.supervisor.client import ControlClient, NotRunning

if TYPE_CHECKING:
    from oatie_ops.deployment.targets.asking import Answer

SCHEMA = "oatie.replicas/v1"
DEFAULT_SECONDS = 15.0
MIN_SECONDS = 0.1
COLUMNS = ("REPLICA", "NODE", "RELEASE", "STATE", "WORKERS", "HEALTH", "FINDING")

Found = Mapping[str, Any]


def patience(text: str | None) -> float:
    """Of ``--timeout``: seconds for each replica. Raises `UsageError`."""
    return DEFAULT_SECONDS if text is None else seconds_of("--timeout", text, least=MIN_SECONDS)


def show_status(seconds: float, *, as_json: bool) -> int:
    found = collect(Context(), seconds, quiet=as_json)
    head = paint(found["state"], STATE_STYLES.get(found["state"], "yellow"), sys.stdout)
    show(found, f"{head}  {summary(found)}", found["detail"], as_json=as_json)
    return status_exit_code(found)


def show_health(seconds: float, fail_on: str | None, *, as_json: bool) -> int:
    found = collect(Context(), seconds, quiet=as_json)
    show(found, f"{state(found['status'], sys.stdout)}  {summary(found)}", found["cause"], as_json=as_json)
    return health_exit_code(found["status"], fail_on)


def collect(context: Context, seconds: float, *, quiet: bool = False) -> dict[str, Any]:
    """The shape ``oatie.replicas/v1``. ``seconds``: for each replica. Changes nothing."""
    from oatie_ops.cli.on_engine import serving_engine
    from oatie_ops.deployment.targets.asking import ask_all, gathered

    try:
        status = ControlClient(context.paths.control_socket).call(
            "GET", "/control/status", timeout_seconds=seconds
        )
        return gathered(status, [_of_this_host(context, status, seconds)])
    except NotRunning as absent:
        engine = serving_engine(context.paths)
        if engine is None:
            return gathered(not_running(context.paths, absent), [])
    with waiting_for("asking the replicas", quiet=quiet):
        return gathered(engine.status(), ask_all(engine.replicas(), engine.inside, seconds))


def _of_this_host(context: Context, status: dict[str, Any], seconds: float) -> Answer:
    """The target process: one supervisor, its workers below it."""
    import socket

    from oatie_ops.cli.health_source import fetch
    from oatie_ops.deployment.targets.asking import of_ops, unreachable
    from oatie_ops.deployment.targets.engine import Replica

    words = {"running": "serving", "degraded": "serving", "stopping": "draining", "failed": "failed"}
    replica = Replica(
        id=str(status["supervisor"]["pid"]),
        name="supervisor",
        release=str(status["release"] or ""),
        state=words.get(status["state"], "starting"),
        node=socket.gethostname(),
        restarts=int(status.get("restarts") or 0),
    )
    try:
        return of_ops(replica, status, fetch(context, [], seconds))
    except OatieError as error:
        return unreachable(replica, f"{error.what}: {error.why}")


def summary(found: Found) -> str:
    release = f"release {found['release']} on " if found["release"] else ""
    many = len(found["replicas"])
    if not many:
        return f"{release}{found['target']}, no replica"
    counts = [f"{found['counts'][word]} {WORDS[word]}" for word in SEVERITY if found["counts"][word]]
    return f"{release}{found['target']}, {many} replica{'s' if many > 1 else ''}: {', '.join(counts)}"


def show(found: Found, headline: str, detail: str, *, as_json: bool) -> None:
    if as_json:
        emit_json({"schema": SCHEMA, **found})
        return
    lines = [headline, *([folded(f"  {detail}", sys.stdout)] if detail else [])]
    if found["replicas"]:
        lines += ["", *_table(found["replicas"])]
    emit("\n".join(lines))


def _table(replicas: list[Found]) -> list[str]:
    """The worst first."""
    rows = [_row(each) for each in sorted(replicas, key=lambda each: -SEVERITY[each["status"]])]
    return [_painted(line) for line in table(COLUMNS, rows, terminal_columns(sys.stdout), short_first=True)]


def _row(each: Found) -> list[str]:
    inside = each["inside"]
    workers = "" if inside is None else f"{inside['workers']}/{inside['wanted_workers']}"
    shown = [each["replica"], each["node"] or "", each["release"], each["state"], workers]
    return [*shown, _shown(each["status"]), each["cause"]]


def _shown(status: str) -> str:
    return f"{symbol(status, sys.stdout)} {WORDS[status]}"


def _painted(line: str) -> str:
    for status, style in STYLES.items():
        line = line.replace(_shown(status), paint(_shown(status), style, sys.stdout), 1)
    return line
