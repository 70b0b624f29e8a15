"""``oatie recover``: climb the recovery ladder of a service now, and see each rung proven or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from oatie_ops.cli.context import Context
from oatie_ops.cli.output import emit_json, emit_report
from oatie_ops.errors import UsageError
from oatie_ops.exit_codes import ExitCode


def command(
    service: Annotated[
        str | None, typer.Argument(metavar="[SERVICE]", help="Which one; `oatie recover --list` shows them.")
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the rungs and how each would be proven; do nothing.")
    ] = False,
    from_rung: Annotated[
        int, typer.Option("--from", min=1, metavar="RUNG", help="The rung to begin with, as numbered.")
    ] = 1,
    reason: Annotated[str, typer.Option(help="Why, for the journal and the audit.")] = "",
    list_: Annotated[
        bool, typer.Option("--list", "-l", help="Every ladder: where it stands, what its rungs achieved.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="The latest recoveries, each try and its proof.")
    ] = False,
    errors: Annotated[
        bool, typer.Option("--errors", help="Errors in groups, with what was tried against them.")
    ] = False,
    limit: Annotated[int, typer.Option(help="With --history and --errors: how many.", min=1, max=500)] = 10,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object at the end, the same shape in every case.")
    ] = False,
) -> int:
    """Climb the recovery ladder of a service now, and see each rung proven or not.

    Whatever holds the automatic recovery back (maintenance, a used-up budget, a failed parent) does not hold
    this, and the budget is whole again afterwards. A running supervisor does it; without one, this command.
    A rung has succeeded when the service's own checks pass again, whatever its command said.

    Exits 0 proven healthy, 1 not (or no ladder is declared), 2 unknown service, 6 another one is under way.
    """
    questions = {"--list": list_, "--history": history, "--errors": errors}
    chosen = [name for name, wanted in questions.items() if wanted]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} are two questions", fix="leave out one of them")
    context = Context()
    if list_:
        return _list(context, service, as_json=json)
    if history:
        return _history(context, service, limit, as_json=json)
    if errors:
        return _errors(context, service, limit, as_json=json)
    if service is None:
        raise UsageError(
            "which service?", fix="`oatie recover SERVICE`; `oatie recover --list` shows what there is"
        )
    if dry_run:
        return _dry_run(context, service, from_rung, as_json=json)
    return _recover(context, service, from_rung, reason, as_json=json)


def _recover(context: Context, service: str, from_rung: int, reason: str, *, as_json: bool) -> int:
    from oatie_ops.cli import recover_run
    from oatie_ops.cli.recover_text import conclusion, live

    result = recover_run.recover(context, service, from_rung, reason, live(quiet=as_json))
    if as_json:
        emit_json({"schema": "oatie.recover/v1", **{k: v for k, v in result.items() if k != "event"}})
    else:
        emit_report(conclusion(result))
    return ExitCode.OK if result["status"] == "proven" else ExitCode.FAILED


def _dry_run(context: Context, service: str, from_rung: int, *, as_json: bool) -> int:
    from oatie_ops.cli.recover_run import ladders_here
    from oatie_ops.cli.recover_text import planned
    from oatie_ops.recovery.ladder import known_services
    from oatie_ops.recovery.ladder_errors import ladder_of, require_rung, require_service
    from oatie_ops.recovery.ladder_report import ladder

    settings = context.loaded.settings
    require_service(service, known_services(settings))
    known = ladder_of(service, ladders_here(context))
    require_rung(from_rung, known.rungs)
    found: dict[str, Any] = ladder(known)
    found["rungs"] = found["rungs"][from_rung - 1 :]
    if as_json:
        emit_json({"schema": "oatie.recover.plan/v1", "service": service, "rungs": found["rungs"]})
    else:
        emit_report("\n".join(planned(found)))
    return ExitCode.OK


def _list(context: Context, service: str | None, *, as_json: bool) -> int:
    from oatie_ops.cli.recover_run import overview
    from oatie_ops.cli.recover_text import listed

    found = overview(context)
    ladders: Mapping[str, Any] = found["ladders"]
    if service is not None:
        _require(service, context)
        ladders = {name: known for name, known in ladders.items() if name == service}
    if as_json:
        emit_json({"schema": "oatie.recover.list/v1", "ladders": list(ladders.values())})
    else:
        emit_report("\n".join(listed(ladders)))
    return ExitCode.OK


def _history(context: Context, service: str | None, limit: int, *, as_json: bool) -> int:
    from oatie_ops.cli.recover_text import told
    from oatie_ops.recovery.ladder_report import history

    if service is not None:
        _require(service, context)
    found = history(context.paths.database, service, limit)["recoveries"]
    if as_json:
        emit_json({"schema": "oatie.recover.history/v1", "recoveries": found})
    else:
        emit_report("\n".join(told(found)))
    return ExitCode.OK


def _errors(context: Context, service: str | None, limit: int, *, as_json: bool) -> int:
    from time import time

    from oatie_ops.recovery.errors_report import lines
    from oatie_ops.recovery.errors_summary import from_database

    # Not only declared services have errors: an application tells of whatever it calls.
    found = from_database(context.paths.database, service, shown=limit)
    if as_json:
        emit_json({"schema": "oatie.recover.errors/v1", **found})
    else:
        emit_report("\n".join(lines(found, time())))
    return ExitCode.OK


def _require(service: str, context: Context) -> None:
    from oatie_ops.recovery.ladder import known_services
    from oatie_ops.recovery.ladder_errors import require_service

    require_service(service, known_services(context.loaded.settings))
