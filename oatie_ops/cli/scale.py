"""``oatie scale``: how many workers and replicas it should be, on what evidence; and makes it so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oatie_ops.errors import UsageError

DEFAULT_STEP_SECONDS = 60.0
DEFAULT_STARTUP_SECONDS = 60.0
DEFAULT_BUDGET = 0.005


def command(
    replicas: Annotated[
        int | None,
        typer.Argument(min=1, metavar="[REPLICAS]", help="Make it so many, on an engine of containers."),
    ] = None,
    *,
    backtest: Annotated[
        Path | None, typer.Option(metavar="TRACE.csv", help="Replay a recorded load: t_s,load.")
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="With --backtest: the column of loads; the first after t_s.")
    ] = None,
    capacity_per_replica: Annotated[
        float | None,
        typer.Option(help="With --backtest: the load that keeps one replica fully busy."),
    ] = None,
    startup: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Until a new replica serves; 60s.")
    ] = None,
    step: Annotated[
        str | None, typer.Option(metavar="DURATION", help="With --backtest: between two decisions; 60s.")
    ] = None,
    budget: Annotated[
        float, typer.Option(help="The share of the time that may be short of capacity; 0.005.")
    ] = DEFAULT_BUDGET,
    warmup: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="With --backtest: not scored; 3h to 14d by its length."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="F.svg", help="With --backtest: write a picture of it.")
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(metavar="F.csv", help="With --backtest: write t_s,replicas for every step."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> int | None:
    """Say how many workers and replicas it should be, and on what evidence.

    With --backtest a recorded load is replayed against the usual autoscalers and our advice. Exits 0 when
    the advice kept the budget, 3 when it could not be kept or too little is known.
    """
    if backtest is not None:
        from oatie_ops.cli import scale_backtest
        from oatie_ops.scaling.setup import Setup

        return scale_backtest.run(
            scale_backtest.Wanted(
                trace=backtest,
                setup=Setup(
                    step_seconds=_seconds("--step", step, DEFAULT_STEP_SECONDS, least=0.001),
                    startup_seconds=_seconds("--startup", startup, DEFAULT_STARTUP_SECONDS),
                    budget=_share("--budget", budget),
                ),
                column=column,
                capacity_per_replica=_positive("--capacity-per-replica", capacity_per_replica),
                warmup_seconds=None if warmup is None else _seconds("--warmup", warmup, 0.0),
                plot=plot,
                decisions=decisions,
                as_json=json,
            )
        )
    if replicas is not None:
        return _scale(replicas, as_json=json)
    raise UsageError("nothing to do", fix="give a number of REPLICAS, or --backtest TRACE.csv")


def _scale(replicas: int, *, as_json: bool) -> int:
    from oatie_ops.cli.context import Context
    from oatie_ops.cli.on_engine import scale_on_engine
    from oatie_ops.cli.output import emit, emit_json

    said = scale_on_engine(Context(), replicas, quiet=as_json)
    if as_json:
        emit_json({"schema": "oatie.scale.replicas/v1", "replicas": replicas, "message": said})
    else:
        emit(said)
    return 0


def _seconds(option: str, text: str | None, otherwise: float, least: float = 0.0) -> float:
    """Raises `UsageError`."""
    if text is None:
        return otherwise
    from oatie_ops.config.durations import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {error}") from error
    if seconds < least:
        raise UsageError(f"{option} is too short", why=f"{seconds:g} s")
    return seconds


def _share(option: str, value: float) -> float:
    if not 0 < value < 0.5:
        raise UsageError(
            f"{option} is a share of the time, above 0 and below 0.5",
            why=f"it is {value:g}",
            fix=f"for {value:g} %, write {value / 100:g}" if 0.5 <= value < 50 else "0.005 is half a percent",
        )
    return value


def _positive(option: str, value: float | None) -> float | None:
    if value is not None and not value > 0:
        raise UsageError(f"{option} has to be above 0", why=f"it is {value:g}")
    return value
