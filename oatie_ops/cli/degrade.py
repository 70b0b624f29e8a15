"""``oatie degrade``: switches of the running application, and what they do at this moment."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from oatie_ops.cli.asked import bounded_seconds_of, refuse
from oatie_ops.cli.context import Context
from oatie_ops.cli.human import age, table
from oatie_ops.cli.output import emit_json, emit_report, paint, warn
from oatie_ops.errors import UsageError
from oatie_ops.exit_codes import ExitCode

DEFAULT = "1h"
COLUMNS = ("SERVICE", "LEVEL", "OWNER", "LEFT", "BY", "REASON")
LIST_SCHEMA, CHANGE_SCHEMA = "oatie.degradation/v1", "oatie.degrade/v1"


def command(
    service: Annotated[str | None, typer.Argument(metavar="[SERVICE]", help="Which service.")] = None,
    *,
    reason: Annotated[
        str | None, typer.Option(help="Why: for the log, the audit and whoever looks.", metavar="TEXT")
    ] = None,
    for_: Annotated[
        str | None, typer.Option("--for", help=f"How long; {DEFAULT} without it.", metavar="DURATION")
    ] = None,
    permanent: Annotated[bool, typer.Option("--permanent", help="Until it is restored.")] = False,
    level: Annotated[
        int | None,
        typer.Option(
            min=0, max=100, help="Percent of requests, 100 without it; 0 keeps it as it is.", metavar="N"
        ),
    ] = None,
    restore: Annotated[bool, typer.Option("--restore", help="End what degrades it.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="What is degraded, by whom, until when.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> int:
    """Degrade a service of the running application, or restore it.

    Its routes answer what oatie.toml declares for that ([services.NAME] degrade.responses), else 503 with
    Retry-After. Every worker obeys at its next request; the command tells how many do and after how long.
    It ends by itself after --for, even if nothing but a worker lives then. Works while the supervisor
    hangs or is gone, too.

    Exits 0 when all workers obey, 3 when some do not yet.
    """
    from oatie_ops.cli.degrade_source import Switchboard

    context = Context()
    if list_:
        others = any((service, reason, for_, permanent, level, restore))
        refuse((others, "--list stands alone", "oatie degrade --list"))
        return _list(Switchboard(context).status(), as_json=json)
    if not service:
        raise _nameless(Switchboard(context).status(), restoring=restore)
    if restore:
        given = for_ is not None or permanent or level is not None
        refuse((given, "--restore ends it at once", "leave out --for, --permanent and --level"))
        done = Switchboard(context).restore(service, reason or "")
        return _show_restored(service, done, as_json=json)
    if not (reason or "").strip():
        Switchboard(context).require_known(service)
        raise UsageError(
            "why? a reason is missing",
            fix=f'oatie degrade {service} --reason "…"; it is shown to whoever looks',
        )
    done = Switchboard(context).degrade(
        service,
        reason=str(reason).strip(),
        seconds=_seconds(for_, permanent=permanent),
        level=100 if level is None else level,
    )
    return _show_degraded(service, done, as_json=json)


def _seconds(text: str | None, *, permanent: bool) -> float | None:
    """None: until it is restored."""
    refuse(
        (permanent and text is not None, "--for and --permanent exclude each other", "leave out one of them")
    )
    if permanent:
        return None
    wanted = DEFAULT if text is None else text
    return bounded_seconds_of("--for", wanted, fix="such as 10m or 2h", endless="--permanent has no end")


def _nameless(status: dict[str, Any], *, restoring: bool) -> UsageError:
    services, degraded = status["services"], status["degraded_services"]
    if restoring and degraded:
        return UsageError(
            "which service is to be restored?",
            why=f"degraded now: {', '.join(degraded)}",
            fix=f"oatie degrade {degraded[0]} --restore",
        )
    if restoring:
        return UsageError(
            "which service is to be restored?", why="nothing is degraded", fix="oatie degrade --list"
        )
    known = f"there are: {', '.join(services)}" if services else "[services.NAME] of oatie.toml declares them"
    return UsageError(
        "which service is to be degraded?", why=known, fix="oatie degrade SERVICE --reason …, or --list"
    )


# --- what is shown ------------------------------------------------------------------------------------------


def _list(status: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        emit_json({"schema": LIST_SCHEMA, **status})
        return ExitCode.OK
    for key, told in (("stale", "other hosts are not heard of"), ("problem", "not in the store yet")):
        if status[key]:
            warn(f"{told}: {status[key]}")
    rows = [
        _row(decision)
        for service in status["services"].values()
        for decision in sorted(service["decisions"], key=lambda each: not each["counts"])
    ]
    if rows:
        emit_report("\n".join(table(COLUMNS, rows)))
    else:
        names = ", ".join(status["services"])
        emit_report("nothing is degraded" + (f"; could be: {names}" if names else ""))
    return ExitCode.OK


def _row(decision: dict[str, Any]) -> list[str]:
    left = decision["left_seconds"]
    notes = []
    if decision["overruled_by"]:
        notes.append(f"overruled by {decision['overruled_by']}")
    elif not decision["counts"]:
        notes.append("another goes before")
    if decision["host"]:
        notes.append(f"from {decision['host']}")
    remark = f" [{'; '.join(notes)}]" if notes else ""
    return [
        decision["service"],
        f"{decision['level']}%",
        decision["owner"],
        "no end" if left is None else age(left),
        decision["actor"],
        (decision["reason"] or "no reason given") + remark,
    ]


def _show_degraded(service: str, done: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        emit_json({"schema": CHANGE_SCHEMA, **done})
        return _exit_code(done)
    left = done["left_seconds"]
    ends = "until it is restored" if left is None else f"for {age(left + 0.5)}, until {done['until']}"
    if done["level"] == 0:
        emit_report(f"{service} stays as it is {ends}, whatever is decided automatically")
    else:
        share = "" if done["level"] == 100 else f" ({done['level']}% of its requests)"
        emit_report(
            f"{paint(f'{service} is degraded', 'yellow', sys.stdout)}{share} {ends}: {done['reason']}"
        )
        if not done["routes"]:
            warn(f"services.{service} declares no routes: its breaker opens, and code that asks obeys")
    return _show_obeyed(done)


def _show_restored(service: str, done: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        emit_json({"schema": CHANGE_SCHEMA, **done})
        return _exit_code(done)
    emit_report(f"{paint(f'{service} is restored', 'green', sys.stdout)}")
    for decision in done["decisions"]:
        if decision["overruled_by"]:
            emit_report(f"  overruled until it is over: {decision['owner']}: {decision['reason']}")
    return _show_obeyed(done)


def _show_obeyed(done: dict[str, Any]) -> int:
    workers, obeying, seconds = done["workers"], done["obeying"], done["seconds"]
    if done["problem"]:
        warn(f"in force, but not in the store yet: {done['problem']}")
    if done["stale"]:
        warn(f"other hosts do not hear of it yet: {done['stale']}")
    if not done["supervised"]:
        emit_report(f"{done['remark']}; whoever reads the switches obeys at the next request")
    if workers:
        took = "" if seconds is None else f", {_milliseconds(seconds)}"
        emit_report(f"{obeying}/{workers} workers obey{took}")
    elif done["supervised"]:
        emit_report("no worker reads switches here; a program may, over HTTP or from the file")
    if obeying < workers:
        warn("the others have not looked yet; a blocked event loop obeys at its next request")
    return _exit_code(done)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"


def _exit_code(done: dict[str, Any]) -> int:
    return ExitCode.OK if done["obeying"] >= done["workers"] else ExitCode.DEGRADED
