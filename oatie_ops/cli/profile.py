"""``oatie profile``: why a start is slow, what the machine does, and both on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oatie_ops.cli.asked import refuse, seconds_of

DEFAULT_RUNS = 5
MAX_RUNS = 200


def command(
    app: Annotated[
        str | None,
        typer.Argument(metavar="[APP]", help="module:attribute; what `oatie start` runs without it."),
    ] = None,
    *,
    runs: Annotated[
        int | None,
        typer.Option(
            help=f"How often it is started; {DEFAULT_RUNS}, or 20 with --verify.", min=1, max=MAX_RUNS
        ),
    ] = None,
    checkout: Annotated[
        bool, typer.Option("--checkout", help="This checkout, although a release is deployed.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="F.html", help="Write a page with the waterfall.")
    ] = None,
    speedscope: Annotated[
        Path | None, typer.Option(metavar="F.json", help="Write imports and stacks for speedscope.app.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Exit 1 if the median start takes longer.")
    ] = None,
    compare: Annotated[
        str | None, typer.Option(metavar="RELEASE", help="Is it slower than this release's starts were?")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="With --compare: run both in turn, which can confirm it.")
    ] = False,
    resources: Annotated[
        bool, typer.Option("--resources", help="Show what is used, and how it develops.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="With --resources: go on, every 2 s.")] = False,
    hours: Annotated[
        float | None,
        typer.Option(help="With --resources or --overview: how far back; 1.", min=0.02, max=8784.0),
    ] = None,
    overview: Annotated[
        bool, typer.Option("--overview", help="Resources, starts and scaling on one page, with a score.")
    ] = False,
) -> int | None:
    """Say why a start is slow and whether this release made it slower.

    The application is started in a scratch worker beside whatever serves, several times, and once more
    watched from within. Nothing of it reaches a user. With --resources or --overview nothing is started.

    Exits 1 when the budget is exceeded or --verify confirms that it is slower, 3 when that is suspected.
    """
    looking, shown = resources or overview, "--resources" if resources else "--overview"
    starting = _given(
        ("APP", app),
        ("--runs", runs),
        ("--checkout", checkout),
        ("--html", html),
        ("--speedscope", speedscope),
        ("--budget", budget),
        ("--compare", compare),
        ("--verify", verify),
    )
    refuse(
        (
            looking and starting,
            f"{starting} does not go with {shown}",
            f"leave out one of them: {shown} starts nothing",
        ),
        (resources and overview, "--resources and --overview are two pages", "leave out one of them"),
        (watch and not resources, "--watch goes with --resources", "add --resources"),
        (hours is not None and not looking, "--hours goes with --resources or --overview", "add one of them"),
        (verify and compare is None, "--verify needs a release to compare with", "add --compare RELEASE"),
    )
    if resources:
        from oatie_ops.cli.profile_resources import show

        return show(hours or 1.0, watch=watch, as_json=json)
    if overview:
        from oatie_ops.cli.profile_overview import show_overview

        return show_overview(hours or 1.0, as_json=json)
    from oatie_ops.cli.profile_run import Wanted, run

    return run(
        Wanted(
            app=app,
            runs=runs,
            checkout=checkout,
            as_json=json,
            html=html,
            speedscope=speedscope,
            budget_seconds=None if budget is None else seconds_of("--budget", budget),
            compare=compare,
            verify=verify,
        )
    )


def _given(*options: tuple[str, object]) -> str:
    """The first of these options that has a value; empty where none has."""
    return next((name for name, value in options if value), "")
