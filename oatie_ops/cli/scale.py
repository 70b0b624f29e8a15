"""``oatie scale``: how many workers and replicas it should be, on what evidence; and makes it so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oatie_ops.cli.asked import refuse, seconds_of
from oatie_ops.config import defaults
from oatie_ops.errors import UsageError

DEFAULT_STEP_SECONDS = 60.0


def command(
    change: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[workers=N|replicas=N|N]",
            help="Resize what runs, without losing a request; N alone: replicas of an engine.",
        ),
    ] = None,
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Do what is recommended.")] = False,
    auto: Annotated[
        bool | None,
        typer.Option("--auto/--no-auto", help="The supervisor follows the load, within the bounds."),
    ] = None,
    least: Annotated[int | None, typer.Option("--min", min=1, help="With --auto; else [scale] min.")] = None,
    most: Annotated[int | None, typer.Option("--max", min=1, help="With --auto; else [scale] max.")] = None,
    backtest: Annotated[
        Path | None, typer.Option(metavar="TRACE.csv", help="Replay a recorded load: t_s,load.")
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="With --backtest: the column of loads; the first after t_s.")
    ] = None,
    capacity_per_replica: Annotated[
        float | None, typer.Option(help="With --backtest: the load that keeps one replica fully busy.")
    ] = None,
    startup: Annotated[
        str | None, typer.Option(metavar="DURATION", help="With --backtest: until a new replica serves; 60s.")
    ] = None,
    step: Annotated[
        str | None, typer.Option(metavar="DURATION", help="With --backtest: between two decisions; 60s.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="With --backtest: the share of time that may be short; 0.005.")
    ] = None,
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
    json: Annotated[bool, typer.Option("--json", help="One JSON object; of a change, JSON lines.")] = False,
) -> int | None:
    """Say how many workers and replicas it should be, and on what evidence; make it so.

    Nothing is guessed: where too little was measured, it says what is lacking and exits 3. A number that
    is given holds over reloads and restarts until `workers` in oatie.toml changes. With --backtest a
    recorded load is replayed against the usual autoscalers; 3: the budget could not be kept.
    """
    modes = sum([bool(change), apply, auto is not None, backtest is not None])
    of_backtest = {
        "--column": column,
        "--capacity-per-replica": capacity_per_replica,
        "--startup": startup,
        "--step": step,
        "--budget": budget,
        "--warmup": warmup,
        "--plot": plot,
        "--decisions": decisions,
    }
    misplaced = next((option for option, value in of_backtest.items() if value is not None), "")
    refuse(
        (modes > 1, "a change, --apply, --auto and --backtest exclude each other", "choose one"),
        (
            backtest is None and misplaced,
            f"{misplaced} belongs to --backtest",
            "for the running application, see [scale]",
        ),
        (
            auto is None and (least is not None or most is not None),
            "--min and --max belong to --auto",
            "for good: [scale] in oatie.toml",
        ),
    )
    if backtest is not None:
        from oatie_ops.cli import scale_backtest
        from oatie_ops.scaling.setup import Setup

        return scale_backtest.run(
            scale_backtest.Wanted(
                trace=backtest,
                setup=Setup(
                    step_seconds=_seconds("--step", step, DEFAULT_STEP_SECONDS, least=1.0),
                    startup_seconds=_seconds("--startup", startup, defaults.SCALE_STARTUP_SECONDS),
                    budget=_share("--budget", defaults.SCALE_BUDGET if budget is None else budget),
                ),
                column=column,
                capacity_per_replica=_positive("--capacity-per-replica", capacity_per_replica),
                warmup_seconds=None if warmup is None else seconds_of("--warmup", warmup),
                plot=plot,
                decisions=decisions,
                as_json=json,
            )
        )
    if change:
        from oatie_ops.cli.scale_change import change_to

        return change_to(change, as_json=json)
    if auto is not None:
        from oatie_ops.cli.scale_change import follow_load

        return follow_load(auto, least, most, as_json=json)
    from oatie_ops.cli import scale_advice

    return scale_advice.apply(as_json=json) if apply else scale_advice.show(as_json=json)


def _seconds(option: str, text: str | None, otherwise: float, least: float = 0.0) -> float:
    return otherwise if text is None else seconds_of(option, text, least=least)


def _share(option: str, value: float) -> float:
    if not 0 < value < 0.5:
        raise UsageError(
            f"{option} is a share of the time, above 0 and below 0.5",
            why=f"it is {value:g}",
            fix=f"for {value:g} %, write {value / 100:g}" if 0.5 <= value < 50 else "0.005 is half a percent",
        )
    return value


def _positive(option: str, value: float | None) -> float | None:
    if value is not None and not 0 < value < float("inf"):
        raise UsageError(f"{option} has to be above 0", why=f"it is {value:g}")
    return value
