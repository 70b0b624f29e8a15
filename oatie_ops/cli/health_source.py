"""Where ``oatie health`` gets its answer from: the running supervisor, else one look at everything."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from oatie_ops.cli.context import Context
from oatie_ops.errors import OatieError, UsageError
from oatie_ops.health.words import SEVERITY
from oatie_ops.supervisor.client import ControlClient, NotRunning

if TYPE_CHECKING:
    from oatie_ops.health.model import Snapshot

RETRY_SECONDS = 0.1
FIRST_CHECKS_SECONDS = 3.0

Health = Mapping[str, Any]


def fetch(
    context: Context, services: Sequence[str], timeout_seconds: float, *, settle: bool = True
) -> dict[str, Any]:
    """The object of ``GET /health/dashboard/brief``, with ``supervised`` telling who did the checking.

    ``settle``: give a supervisor that has just started a moment for its first checks.
    """
    client = ControlClient(context.paths.control_socket)
    began = time.monotonic()
    deadline = began + timeout_seconds
    settled = began + min(timeout_seconds, FIRST_CHECKS_SECONDS)
    while True:
        left = max(0.1, deadline - time.monotonic())
        try:
            health = {
                **client.call("GET", "/health/dashboard/brief", timeout_seconds=left),
                "supervised": True,
            }
            if not settle or _all_checked(health) or time.monotonic() > settled:
                return health
        except NotRunning:
            return _once(context, services, timeout_seconds)
        except OatieError as error:
            # A supervisor answers before its checks are imported; that is a matter of a second.
            if "retry_after_seconds" not in error.data or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_SECONDS)


def _all_checked(health: Health) -> bool:
    """False in the first moments of a supervisor, when asking again tells more than "not checked yet"."""
    checks = [check for service in health["services"].values() for check in service["checks"].values()]
    return all(check["checked_at"] or check["type"] == "needs" for check in checks)


def _once(context: Context, services: Sequence[str], timeout_seconds: float) -> dict[str, Any]:
    from oatie_ops._version import __version__
    from oatie_ops.cli.on_engine import serving_engine, told_by
    from oatie_ops.health.model import Result, Status, system_clock
    from oatie_ops.health.once import run_checks
    from oatie_ops.health.report import detailed

    settings = context.checkable.settings
    known = ["app", *(name for name in settings.services if name not in ("app", "system")), "system"]
    require_known(services, known)
    engine = serving_engine(context.paths)
    status = None if engine is None else engine.status()
    serves = status is not None and status["state"] in ("running", "degraded")
    told = None if engine is None else told_by(engine)
    if status is not None and not serves and told is None:
        told = partial(Result, Status.FAIL, status["detail"] or status["state"])
    snapshot = run_checks(
        settings,
        context.paths.home,
        only=services,
        timeout_seconds=timeout_seconds,
        serving=serves,
        told=told,
    )
    health = detailed(_with_switches(context, snapshot), system_clock())
    health["groups"]["live"] = {"status": "fail", "output": "no supervisor is running"}
    if status is not None:
        word = {"running": "pass", "degraded": "warn"}.get(status["state"], "fail")
        health["groups"]["live"] = {"status": word, "output": status["detail"]}
        kept = {name: status[name] for name in ("state", "detail", "release", "app", "ops", "workers")}
        return {**health, "version": __version__, **kept, "supervised": False}
    return {
        **health,
        "version": __version__,
        "state": "not running",
        "detail": "",
        "release": None,
        "app": {"name": settings.app.name, "url": None},
        "ops": {"url": None},
        "workers": [],
        "supervised": False,
    }


def _with_switches(context: Context, snapshot: Snapshot) -> Snapshot:
    """What is degraded stays so without a supervisor; a look makes no file."""
    if not context.paths.switches.exists():
        return snapshot
    from oatie_ops.degradation.decision import effective
    from oatie_ops.degradation.desk import Desk
    from oatie_ops.degradation.overlay import overlaid

    desk = Desk(context.paths)
    now = desk.now()
    known = {n: each for n, each in effective(desk.read().decisions, now).items() if n in snapshot.services}
    return overlaid(snapshot, known, now)


def narrowed(health: dict[str, Any], services: Sequence[str]) -> dict[str, Any]:
    """Only these services; the status and its cause are then theirs. Raises `UsageError`."""
    require_known(services, list(health["services"]))
    if not services:
        return health
    chosen = {name: health["services"][name] for name in services}
    status = max((str(service["status"]) for service in chosen.values()), key=SEVERITY.__getitem__)
    first = next(name for name, service in chosen.items() if service["status"] == status)
    cause = "" if status == "pass" else f"{first}: {chosen[first]['output']}"
    return {**health, "services": chosen, "status": status, "cause": cause}


def require_known(services: Sequence[str], known: Sequence[str]) -> None:
    for name in services:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"there is no service {name!r}", fix=f"{hint}there are: {', '.join(known)}")
