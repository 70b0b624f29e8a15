"""``oatie health``: what the supervisor's check loop knows, or, where none runs, what one look finds."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from oatie_ops.cli.asked import refuse, seconds_of
from oatie_ops.cli.context import Context
from oatie_ops.cli.health_look import Wanted
from oatie_ops.cli.health_report import DEFAULT_TIMEOUT_SECONDS, exit_code, show
from oatie_ops.cli.health_source import Health, fetch, narrowed
from oatie_ops.cli.output import emit, emit_json
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
    patience = None if timeout is None else seconds_of("--timeout", timeout, least=MIN_TIMEOUT_SECONDS)
    watching = watch or any(option is not None for option in (interval, count, until, deadline))
    not_with_all = any(option is not None for option in (group, format, maintenance))
    refuse(
        (
            group is not None and chosen,
            "--group answers for the whole application",
            "leave out the services or --group",
        ),
        (json and format is not None, "--json and --format are two formats", "leave out one of them"),
        (
            all and (chosen or watching or not_with_all),
            "--all answers once, for all services",
            "keep --json, --fail-on and --timeout",
        ),
    )
    if all:
        from oatie_ops.cli import replicas

        return replicas.show_health(replicas.patience(timeout), fail_on, as_json=json)
    if maintenance is not None:
        from oatie_ops.cli.health_maintenance import maintain

        return maintain(Context(), chosen, maintenance, reason, as_json=json)
    as_line = format is Format.JSONL
    if watching:
        refuse(
            (
                group is not None or format is Format.NAGIOS,
                "--watch shows every service",
                "leave out --group and --format nagios",
            ),
            (
                deadline is not None and until is None,
                "--deadline needs something to wait for",
                "add --until pass",
            ),
        )
        wanted = Wanted(
            services=tuple(chosen),
            interval_seconds=_interval_seconds(interval),
            count=count,
            until=until.value if until else None,
            deadline_seconds=seconds_of("--deadline", deadline) if deadline else None,
            timeout_seconds=patience or WATCH_TIMEOUT_SECONDS,
            as_json=json or as_line,
        )
        return _watch(wanted, fail_on)
    patience = patience or DEFAULT_TIMEOUT_SECONDS
    if format is Format.NAGIOS:
        from oatie_ops.cli.health_nagios import answer

        return answer(chosen, group.value if group else None, patience)
    health = narrowed(fetch(Context(), chosen, patience), chosen)
    if group is not None:
        return _answer_group(group, health, as_json=json or as_line)
    show(health, as_json=json, as_line=as_line)
    return exit_code(health["status"], fail_on)


def _watch(wanted: Wanted, fail_on: FailOn | None) -> int:
    from oatie_ops.cli import health_watch

    verdict = health_watch.watch(Context(), wanted)
    return verdict if isinstance(verdict, ExitCode) else exit_code(verdict, fail_on)


def _interval_seconds(text: str | None) -> float:
    """What is shorter than a look takes is as often as possible."""
    seconds = DEFAULT_INTERVAL_SECONDS if text is None else seconds_of("--interval", text)
    return max(MIN_INTERVAL_SECONDS, seconds)


def _answer_group(group: Group, health: Health, *, as_json: bool) -> int:
    verdict = health["groups"][group.value]
    if as_json:
        emit_json({"schema": "oatie.health.group/v1", "group": group.value, **verdict})
    else:
        from oatie_ops.cli.health_text import state

        emit(f"{state(verdict['status'], sys.stdout)}  {group.value}: {verdict['output']}")
    return ExitCode.OK if verdict["status"] in ("pass", "warn") else ExitCode.FAILED


def _print_data(name: str) -> int:
    from importlib.resources import files

    emit(files("oatie_ops.health").joinpath("data", name).read_text(encoding="utf-8").rstrip("\n"))
    return ExitCode.OK
