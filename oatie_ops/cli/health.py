"""``oatie health``: what the supervisor's check loop knows, or, where none runs, what one look finds."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from oatie_ops.cli.context import Context
from oatie_ops.cli.health_report import DEFAULT_TIMEOUT_SECONDS, exit_code, show
from oatie_ops.cli.health_source import Health, fetch, narrowed
from oatie_ops.cli.output import emit, emit_json
from oatie_ops.errors import OatieError, UsageError
from oatie_ops.exit_codes import ExitCode

DEFAULT_INTERVAL_SECONDS = 2.0
WATCH_TIMEOUT_SECONDS = 5.0
MIN_INTERVAL_SECONDS = 0.1
MIN_TIMEOUT_SECONDS = 0.1


class Group(StrEnum):
    LIVE = "live"
    READY = "ready"
    STARTUP = "startup"


class Format(StrEnum):
    NAGIOS = "nagios"
    JSONL = "jsonl"


class FailOn(StrEnum):
    FAIL = "fail"
    WARN = "warn"


class Until(StrEnum):
    PASS = "pass"
    FAIL = "fail"


def command(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="[SERVICE]...", help="Only these; all without it.")
    ] = None,
    *,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object, the same shape in every state.")
    ] = False,
    group: Annotated[
        Group | None, typer.Option(help="One question only: is it alive, may it get traffic, has it started?")
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(help="nagios: one line with performance data and a plugin's exit codes (0, 1, 2, 3)."),
    ] = None,
    all: Annotated[
        bool, typer.Option("--all", help="Ask each replica on the engine what its own checks found.")
    ] = False,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(help="What exits 1. fail: degraded exits 0; warn: degraded and unknown exit 1, too."),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long to wait for the supervisor, for a check where none runs, or for a replica.",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on looking; live on a terminal, else a line a change.")
    ] = False,
    interval: Annotated[
        str | None, typer.Option(metavar="DURATION", help="With --watch: time between two looks; 2s.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="With --watch: end after so many looks.", min=1)] = None,
    until: Annotated[Until | None, typer.Option(help="With --watch: end once it is so, with 0.")] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="DURATION", help="With --until: exit 1 if it is not so by then.")
    ] = None,
    maintenance: Annotated[
        str | None,
        typer.Option(metavar="DURATION|off", help="Expect failures for so long: no alerts meanwhile."),
    ] = None,
    reason: Annotated[str, typer.Option(help="With --maintenance: why, for everybody who asks.")] = "",
    print_rules: Annotated[
        bool, typer.Option("--print-rules", help="Print alert rules for Prometheus and exit.")
    ] = False,
    print_grafana: Annotated[
        bool, typer.Option("--print-grafana", help="Print a dashboard for Grafana and exit.")
    ] = False,
) -> int:
    """Show the health of the application and of what it needs, the worst first.

    A running supervisor is asked for what its checks found; without one the checks are run once, here.
    Exits 0 when all is healthy, 1 when something fails, 3 when something is degraded or unknown. With
    --group, unknown counts as failing, as it does for a load balancer.
    """
    if print_rules or print_grafana:
        return _print_data("oatie-rules.yml" if print_rules else "oatie-grafana.json")
    chosen = services or []
    patience = _seconds("--timeout", timeout)
    if timeout is not None and patience < MIN_TIMEOUT_SECONDS:
        raise UsageError(f"--timeout is at least {MIN_TIMEOUT_SECONDS:g} s", fix="allow more time")
    if group is not None and chosen:
        raise UsageError("--group answers for the whole application", fix="leave out the services or --group")
    if json and format is not None:
        raise UsageError("--json and --format are two formats", fix="leave out one of them")
    watching = watch or any(option is not None for option in (interval, count, until, deadline))
    if all:
        if chosen or watching or any(option is not None for option in (group, format, maintenance)):
            raise UsageError(
                "--all answers once, for all services", fix="keep --json, --fail-on and --timeout"
            )
        from oatie_ops.cli import replicas

        return replicas.show_health(replicas.patience(timeout), fail_on, as_json=json)
    if maintenance is not None:
        from oatie_ops.cli.health_maintenance import maintain

        return maintain(Context(), chosen, maintenance, reason, as_json=json)
    if watching:
        if group is not None or format is Format.NAGIOS:
            raise UsageError("--watch shows every service", fix="leave out --group and --format nagios")
        if deadline is not None and until is None:
            raise UsageError("--deadline needs something to wait for", fix="add --until pass")
        from oatie_ops.cli import health_watch

        verdict = health_watch.watch(
            Context(),
            health_watch.Wanted(
                services=tuple(chosen),
                interval_seconds=max(
                    MIN_INTERVAL_SECONDS, _seconds("--interval", interval, DEFAULT_INTERVAL_SECONDS)
                ),
                count=count,
                until=until.value if until else None,
                deadline_seconds=_seconds("--deadline", deadline) if deadline else None,
                timeout_seconds=patience or WATCH_TIMEOUT_SECONDS,
                as_json=json or format is Format.JSONL,
            ),
        )
        return verdict if isinstance(verdict, ExitCode) else exit_code(verdict, fail_on)
    patience = patience or DEFAULT_TIMEOUT_SECONDS
    if format is Format.NAGIOS:
        return _nagios(chosen, group, patience)
    health = narrowed(fetch(Context(), chosen, patience), chosen)
    if group is not None:
        return _answer_group(group, health, as_json=json or format is Format.JSONL)
    show(health, as_json=json, as_line=format is Format.JSONL)
    return exit_code(health["status"], fail_on)


def _answer_group(group: Group, health: Health, *, as_json: bool) -> int:
    verdict = health["groups"][group.value]
    if as_json:
        emit_json({"schema": "oatie.health.group/v1", "group": group.value, **verdict})
    else:
        from oatie_ops.cli.health_text import state

        emit(f"{state(verdict['status'], sys.stdout)}  {group.value}: {verdict['output']}")
    return ExitCode.OK if verdict["status"] in ("pass", "warn") else ExitCode.FAILED


def _nagios(services: list[str], group: Group | None, timeout_seconds: float) -> int:
    """Whatever happens is one line and a plugin's code: a scheduler understands nothing else."""
    from oatie_ops.cli import health_nagios as nagios

    try:
        health: dict[str, Any] = narrowed(fetch(Context(), services, timeout_seconds), services)
    except OatieError as error:
        emit(nagios.unknown(f"{error.what}: {error.why}" if error.why else error.what))
        return nagios.CODES["unknown"]
    if group is not None:
        verdict = health["groups"][group.value]
        health |= {"status": verdict["status"], "cause": f"{group.value}: {verdict['output']}"}
    emit(nagios.line(health))
    return nagios.CODES[health["status"]]


def _seconds(option: str, text: str | None, otherwise: float = 0.0) -> float:
    """Raises `UsageError`."""
    if text is None:
        return otherwise
    from oatie_ops.config.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {error}") from error


def _print_data(name: str) -> int:
    from importlib.resources import files

    emit(files("oatie_ops.health").joinpath("data", name).read_text(encoding="utf-8").rstrip("\n"))
    return ExitCode.OK
