"""``oatie health --maintenance``: through the supervisor where one runs, else into the store it will read."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from oatie_ops.cli.asked import bounded_seconds_of
from oatie_ops.cli.context import Context
from oatie_ops.cli.health_source import require_known
from oatie_ops.cli.output import emit_json, emit_report
from oatie_ops.exit_codes import ExitCode
from oatie_ops.health.standing import EVERYTHING
from oatie_ops.supervisor.client import ControlClient, NotRunning

PATH = "/health/maintenance"


def maintain(context: Context, services: Sequence[str], wanted: str, reason: str, *, as_json: bool) -> int:
    """Opens windows for ``wanted`` (a duration), or with ``off`` ends them. Without services: for all."""
    off = "`--maintenance off` ends it"
    seconds = None
    if wanted != "off":
        seconds = bounded_seconds_of("--maintenance", wanted, fix="such as 30m; `off` ends it", endless=off)
    settings = context.loaded.settings
    known = ["app", *(name for name in settings.services if name not in ("app", "system")), "system"]
    require_known(services, known)
    if seconds is None:
        ended = sum(_end(context, service) for service in (*services,) or (None,))
        _tell({"ended": ended}, f"{ended} maintenance window{'' if ended == 1 else 's'} ended", as_json)
        return ExitCode.OK
    windows = [_begin(context, service, seconds, reason) for service in services or [EVERYTHING]]
    names = ", ".join("everything" if w["service"] == EVERYTHING else w["service"] for w in windows)
    until = windows[0]["until"]
    _tell({"windows": windows}, f"maintenance of {names} until {until}: no alerts meanwhile", as_json)
    return ExitCode.OK


def _begin(context: Context, service: str, seconds: float, reason: str) -> Mapping[str, Any]:
    body = {"service": service, "duration": seconds, "reason": reason}
    try:
        return ControlClient(context.paths.control_socket).call("POST", PATH, body)
    except NotRunning:
        from oatie_ops.health import maintenance, report
        from oatie_ops.store import Store

        with Store.open(context.paths.database) as store:
            window = maintenance.begin(store, service=service, seconds=seconds, reason=reason, actor=_actor())
            store.audit.add(_actor(), "cli", "maintenance", service, "begun", reason)
        return report.maintenance(window)


def _end(context: Context, service: str | None) -> int:
    query = f"?{urlencode({'service': service})}" if service else ""
    try:
        answer = ControlClient(context.paths.control_socket).call("DELETE", PATH + query)
        return int(answer["ended"])
    except NotRunning:
        from oatie_ops.health import maintenance
        from oatie_ops.store import Store

        with Store.open(context.paths.database) as store:
            ended = maintenance.end(store, actor=_actor(), service=service)
            store.audit.add(_actor(), "cli", "maintenance", service or EVERYTHING, "ended", str(ended))
        return ended


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        return "unknown"


def _tell(document: Mapping[str, Any], line: str, as_json: bool) -> None:
    if as_json:
        emit_json({"schema": "oatie.health.maintenance/v1", **document})
    else:
        emit_report(line)
