"""``oatie health``: what the supervisor's check loop knows, or, where none runs, what one look finds."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any

import typer

from oatie_ops.cli.context import Context
from oatie_ops.cli.human import age, table
from oatie_ops.cli.output import emit, emit_json, paint
from oatie_ops.errors import OatieError, UsageError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.health.model import Status, worst
from oatie_ops.health.words import PLAIN_SYMBOLS, SYMBOLS, WORDS
from oatie_ops.supervisor.client import ControlClient, NotRunning

DEFAULT_TIMEOUT_SECONDS = 10.0
RETRY_SECONDS = 0.1
FIRST_CHECKS_SECONDS = 3.0
COLUMNS = ("STATE", "SERVICE", "CHECK", "FOR", "FINDING")
STYLES = {"pass": "green", "warn": "yellow", "unknown": "yellow", "fail": "red"}
EXIT_CODES = {"pass": ExitCode.OK, "fail": ExitCode.FAILED}

Health = Mapping[str, Any]


class Group(StrEnum):
    LIVE = "live"
    READY = "ready"
    STARTUP = "startup"


def command(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="[SERVICE]...", help="Only these; all without it.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object, the same shape in every state.")
    ] = False,
    group: Annotated[
        Group | None, typer.Option(help="One question only: is it alive, may it get traffic, has it started?")
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(help="Seconds to wait for the supervisor, or for each check where none runs.", min=0.1),
    ] = DEFAULT_TIMEOUT_SECONDS,
) -> int:
    """Show the health of the application and of what it needs, the worst first.

    A running supervisor is asked for what its checks found; without one the checks are run once, here.
    Exits 0 when all is healthy, 1 when something fails, 3 when something is degraded or unknown. With
    --group, unknown counts as failing, as it does for a load balancer.
    """
    if group is not None and services:
        raise UsageError("--group answers for the whole application", fix="leave out the services or --group")
    health = narrowed(fetch(Context(), services or [], timeout), services or [])
    if group is not None:
        return _answer_group(group, health, as_json=json)
    if json:
        emit_json(health)
    else:
        emit("\n".join(render(health, sys.stdout)))
    return EXIT_CODES.get(health["status"], ExitCode.DEGRADED)


def fetch(context: Context, services: Sequence[str], timeout_seconds: float) -> dict[str, Any]:
    """The object of ``GET /health/dashboard``, with ``supervised`` telling who did the checking."""
    client = ControlClient(context.paths.control_socket)
    began = time.monotonic()
    deadline = began + timeout_seconds
    settled = began + min(timeout_seconds, FIRST_CHECKS_SECONDS)
    while True:
        left = max(0.1, deadline - time.monotonic())
        try:
            health = {**client.call("GET", "/health/dashboard", timeout_seconds=left), "supervised": True}
            if _all_checked(health) or time.monotonic() > settled:
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
    from oatie_ops.health.model import system_clock
    from oatie_ops.health.once import run_checks
    from oatie_ops.health.report import detailed

    settings = context.loaded.settings
    known = ["app", *(name for name in settings.services if name not in ("app", "system")), "system"]
    _require_known(services, known)
    snapshot = run_checks(settings, context.paths.home, only=services, timeout_seconds=timeout_seconds)
    health = detailed(snapshot, system_clock())
    health["groups"]["live"] = {"status": "fail", "output": "no supervisor is running"}
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


def narrowed(health: dict[str, Any], services: Sequence[str]) -> dict[str, Any]:
    """Only these services; the status and its cause are then theirs. Raises `UsageError`."""
    _require_known(services, list(health["services"]))
    if not services:
        return health
    chosen = {name: health["services"][name] for name in services}
    status = worst(Status(service["status"]) for service in chosen.values())
    first = next(name for name, service in chosen.items() if service["status"] == status)
    cause = "" if status is Status.PASS else f"{first}: {chosen[first]['output']}"
    return {**health, "services": chosen, "status": status.value, "cause": cause}


def _require_known(services: Sequence[str], known: Sequence[str]) -> None:
    for name in services:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"there is no service {name!r}", fix=f"{hint}there are: {', '.join(known)}")


def _answer_group(group: Group, health: Health, *, as_json: bool) -> int:
    verdict = health["groups"][group.value]
    if as_json:
        emit_json({"group": group.value, **verdict})
    else:
        emit(f"{_state(verdict['status'], sys.stdout)}  {group.value}: {verdict['output']}")
    return ExitCode.OK if verdict["status"] in ("pass", "warn") else ExitCode.FAILED


def render(health: Health, stream: Any) -> list[str]:
    """Lines for people: the verdict with its worst cause, then every check, the worst first."""
    headline = _state(health["status"], stream)
    if health["cause"]:
        headline += f"  {health['cause']}"
    checks = [
        (service, name, check)
        for service, state in health["services"].items()
        for name, check in state["checks"].items()
    ]
    checks.sort(key=lambda item: -Status(item[2]["status"]).severity)
    rows = [_row(*item, stream) for item in checks]
    head, *lines = table(COLUMNS, rows)
    painted = [
        paint(line[: len(row[0])], STYLES[check["status"]], stream) + line[len(row[0]) :]
        for line, row, (_, _, check) in zip(lines, rows, checks, strict=True)
    ]
    return [headline, "", head, *painted, "", _footer(health)]


def _row(service: str, name: str, check: Health, stream: Any) -> list[str]:
    state = f"{_symbol(check['status'], stream)} {WORDS[check['status']]}"
    return [state, service, name, age(check["for_seconds"]), check["output"]]


def _state(status: str, stream: Any) -> str:
    return paint(f"{_symbol(status, stream)} {WORDS[status]}", STYLES[status], stream)


def _symbol(status: str, stream: Any) -> str:
    try:
        SYMBOLS[status].encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return PLAIN_SYMBOLS[status]
    return SYMBOLS[status]


def _footer(health: Health) -> str:
    if not health["supervised"]:
        return "no supervisor is running: the checks were run once, by this command"
    release = f"release {health['release']}, " if health["release"] else ""
    return f"{release}{health['state']}; as of {health['age_seconds']:.1f} s ago"
