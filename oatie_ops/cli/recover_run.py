"""Who recovers: the running supervisor, else this process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from oatie_ops.cli.context import Context
from oatie_ops.cli.on_engine import EngineRollout, serving_engine, told_by
from oatie_ops.cli.output import say
from oatie_ops.errors import OatieError
from oatie_ops.recovery.ladder import Ladder, known_services, ladders
from oatie_ops.recovery.ladder_errors import ladder_of, require_rung, require_service
from oatie_ops.supervisor.client import ControlClient, NotRunning, error_from_dict

POLL_SECONDS = 0.2
# A supervisor that is being started answers after its checks are imported.
STARTING_SECONDS = 20.0

Event = dict[str, Any]
Show = Callable[[Event], None]


def recover(context: Context, service: str, from_rung: int, reason: str, show: Show) -> Event:
    """The ``result`` event. Raises `OatieError` where it cannot even be begun."""
    client = ControlClient(context.paths.control_socket)
    try:
        return _asked(client, service, from_rung, reason, show)
    except NotRunning:
        return _done_here(context, service, from_rung, reason, show)


def ladders_here(context: Context) -> dict[str, Ladder]:
    """Of oatie.toml, and the one that every application has."""
    on_engine = serving_engine(context.paths) is not None
    return ladders(context.loaded.settings, on_engine=on_engine)


def overview(context: Context) -> dict[str, Any]:
    """Every ladder: those of a running supervisor, else those of oatie.toml."""
    from oatie_ops.recovery import ladder_report

    with contextlib.suppress(NotRunning):
        return _call(ControlClient(context.paths.control_socket), "GET", "/api/performance/errors/recovery")
    return ladder_report.overview(context.paths.database, ladders_here(context))


def _done_here(context: Context, service: str, from_rung: int, reason: str, show: Show) -> Event:
    from oatie_ops.deployment.who import who
    from oatie_ops.recovery.ladder_once import Order, recover_once

    require_service(service, known_services(context.loaded.settings))
    require_rung(from_rung, ladder_of(service, ladders_here(context)).rungs)
    from oatie_ops.cli.filling import SUPERVISOR, filled

    by = who()
    order = Order(service, from_rung, by.actor, by.origin, reason)
    engine = serving_engine(context.paths)
    rollout = None if engine is None else EngineRollout(context)
    told = None if engine is None else told_by(engine)
    settings = filled(context.loaded, SUPERVISOR).settings
    return asyncio.run(recover_once(settings, context.paths, order, show, rollout, told))


def _asked(client: ControlClient, service: str, from_rung: int, reason: str, show: Show) -> Event:
    known = list(_call(client, "GET", "/health/dashboard/brief")["services"])
    require_service(service, known)
    if from_rung > 1:
        declared = _call(client, "GET", "/api/performance/errors/recovery")["ladders"].get(service)
        require_rung(from_rung, declared["rungs"] if declared else ())
    query = urlencode({"from_rung": from_rung, "reason": reason})
    path = f"/api/performance/errors/services/{quote(service, safe='')}/recover?{query}"
    operation = _call(client, "POST", path)
    try:
        return _followed(client, operation, service, show)
    except KeyboardInterrupt:
        say("the supervisor goes on with it; `oatie recover --history` tells how it ends")
        raise


def _followed(client: ControlClient, operation: dict[str, Any], service: str, show: Show) -> Event:
    shown = 0
    while True:
        for event in operation["events"][shown:]:
            if event["event"] != "result":
                show(event)
        shown = len(operation["events"])
        if operation["state"] != "running":
            return _result(operation)
        time.sleep(POLL_SECONDS)
        try:
            operation = client.call("GET", f"/health/operations/{operation['id']}")
        except NotRunning as gone:
            raise OatieError(
                f"the recovery of {service} was cut off",
                why="the supervisor that carried it out has ended",
                fix="`oatie recover --history` tells how far it came; start it with `oatie start`",
            ) from gone


def _result(operation: Mapping[str, Any]) -> Event:
    for event in reversed(operation["events"]):
        if event["event"] == "result":
            return dict(event)
    raise error_from_dict(operation["error"] or {"what": "it ended without a result"})


def _call(client: ControlClient, method: str, path: str) -> dict[str, Any]:
    """Waits for a supervisor that has just begun."""
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            return client.call(method, path)
        except OatieError as error:
            if "retry_after_seconds" not in error.data or time.monotonic() > deadline:
                raise
        time.sleep(POLL_SECONDS)
