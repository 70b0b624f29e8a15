"""``oatie deploy``: a release of this checkout, gated, switched to, watched; or the old one still serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oatie_ops.cli.choices import require_one_of
from oatie_ops.cli.context import Context
from oatie_ops.cli.options import DryRun, Environment, JsonEvents, WaitLock, Yes
from oatie_ops.cli.start import LOG_LEVELS
from oatie_ops.cli.start_run import OPS_FACTORY, given_overrides
from oatie_ops.errors import UsageError
from oatie_ops.exit_codes import ExitCode

if TYPE_CHECKING:
    from oatie_ops.cli.releasing import Found, Order
    from oatie_ops.config.load import Loaded
    from oatie_ops.deployment.events import Events, Result
    from oatie_ops.paths import StatePaths

TARGETS = ("process", "docker", "swarm", "kubernetes")  # as `registry.TARGETS`, without its imports


def command(
    *,
    environment: Environment = None,
    target: Annotated[
        str | None, typer.Option("--target", help=f"One of {', '.join(TARGETS)}.", metavar="TARGET")
    ] = None,
    use_docker: Annotated[bool, typer.Option("--use-docker", help="Same as --target docker.")] = False,
    use_kubernetes: Annotated[
        bool, typer.Option("--use-kubernetes", help="Same as --target kubernetes.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65535, help="Listen on this port.", metavar="PORT"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, help="How many processes.", metavar="N")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", help=f"One of {', '.join(LOG_LEVELS)}.", metavar="LEVEL")
    ] = None,
    no_health_check: Annotated[
        bool,
        typer.Option(
            "--no-health-check", help="Wait until the workers are up, not until they are healthy; no bake."
        ),
    ] = False,
    dry_run: DryRun = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="yaml", help="With --dry-run: print the objects for Kubernetes."
        ),
    ] = None,
    accessory: Annotated[
        str | None,
        typer.Option("--accessory", metavar="NAME", help="Only this accessory: made anew as declared."),
    ] = None,
    yes: Yes = False,
    json: JsonEvents = False,
    wait_lock: WaitLock = 0.0,
) -> int:
    """Make a release of this checkout and switch to it once it is healthy.

    The release before serves until the new one has passed its health gate, and stays warm until the new one
    has survived its bake. Whatever fails before that is undone. It asks only on a terminal, and only where
    a program cannot be replaced without a gap.

    Exits 0 deployed (or planned), 1 failed and nothing serves, 2 usage (also for a target that is not
    there yet), 4 configuration invalid or nothing says what is to run here, 5 prerequisite missing, 6 another
    run is going on, 7 rolled back: the release before still serves, 130/143 interrupted and undone.
    """
    from oatie_ops.cli.releasing import Order, release_command
    from oatie_ops.deployment.who import who

    order = Order(who(), not no_health_check, dry_run, yes, wait_lock)
    context = Context()
    if output is not None:
        from oatie_ops.cli.manifests import print_manifests, require_possible
        from oatie_ops.config.load import load

        asked = asked_target(target, use_docker=use_docker, use_kubernetes=use_kubernetes)
        overrides = {"deploy.target": asked} if asked else {}
        loaded = load(context.root, environment=environment, overrides=overrides, use_cache=False)
        require_possible(output, loaded.settings.deploy.target, dry_run=dry_run)
        print_manifests(loaded, context.paths)
        return ExitCode.OK

    if accessory is not None:
        from oatie_ops.cli.on_engine import deploy_accessory

        return deploy_accessory(context, accessory, environment=environment, dry_run=dry_run, as_json=json)

    def look(events: Events) -> Found | Result:
        from oatie_ops.config.load import load

        asked = asked_target(target, use_docker=use_docker, use_kubernetes=use_kubernetes)
        refuse_missing(asked)
        overrides = given_overrides(port=port, workers=workers, log_level=log_level)
        if asked is not None:
            overrides["deploy.target"] = asked
        # A dry run writes nothing, not even a cache.
        loaded = load(context.root, environment=environment, overrides=overrides, use_cache=not dry_run)
        refuse_missing(loaded.settings.deploy.target)
        return look_around(loaded, context.paths, order, events)

    return release_command(look, order, as_json=json)


def asked_target(target: str | None, *, use_docker: bool, use_kubernetes: bool) -> str | None:
    """What the three flags say together. Raises `UsageError` where they contradict each other."""
    asked = {target, "docker" if use_docker else None, "kubernetes" if use_kubernetes else None} - {None}
    if len(asked) > 1:
        raise UsageError(
            f"{' and '.join(sorted(filter(None, asked)))} at the same time",
            fix="choose one target: --target, --use-docker or --use-kubernetes",
        )
    return next(iter(asked), None)


def refuse_missing(target: str | None) -> None:
    from oatie_ops.deployment.targets.registry import MODULES, PROCESS

    if target in (None, PROCESS, *MODULES):
        return
    require_one_of("--target", str(target), TARGETS)
    raise UsageError(
        f"deploying to {target} is not built yet",
        why=f"this version of oatie deploys to {', '.join((PROCESS, *MODULES))}",
        fix='leave the flag out, or set `target = "process"` in [deploy]',
    )


def look_around(loaded: Loaded, paths: StatePaths, order: Order, events: Events) -> Found:
    """What is to be deployed, what runs, what is in the way. A dry run looks no secret up."""
    from oatie_ops.cli.filling import filled
    from oatie_ops.cli.on_engine import look_at_engine, refuse_rival
    from oatie_ops.cli.releasing import Found, settle_leftovers
    from oatie_ops.config.layers import Source
    from oatie_ops.deployment.address import at_running_address
    from oatie_ops.deployment.facts import gather_deploy
    from oatie_ops.deployment.proxy.front import with_front
    from oatie_ops.deployment.targets.process import ProcessSupervisor, ProcessTarget

    tell_what_was_found(loaded, events)
    settle_leftovers(paths, order, events)
    if not order.dry_run:
        loaded = filled(loaded)
    if loaded.settings.deploy.target != "process":
        return look_at_engine(loaded, paths, order)
    refuse_rival(paths, "process")
    running = ProcessSupervisor(paths).running()
    # What nobody asked for stays as it is.
    unasked = {name: loaded.origin(f"app.{name}").source < Source.FILE for name in ("port", "host")}
    settings = at_running_address(loaded.settings, running, **unasked)
    settings = with_front(settings, paths, make=not order.dry_run)
    target = ProcessTarget(settings, paths, order.who.actor, OPS_FACTORY)
    facts = gather_deploy(
        settings,
        paths,
        running,
        health_check=order.health_check,
        demo_by_default=loaded.discovered is not None and loaded.discovered.kind == "demo",
    )
    return Found(facts, target, paths)


def _elsewhere(loaded: Loaded) -> list[str]:
    """A directory above is deployed, for what is configured there: easily overlooked in a new, empty one."""
    root = loaded.settings.root
    if root == Path.cwd():
        return []
    return [f"the project is {root}, which holds this directory (`oatie init` makes this one a project)"]


def tell_what_was_found(loaded: Loaded, events: Events) -> None:
    """Nothing is chosen silently: what was found instead of configured, and every warning.

    Raises `Undecided` where what runs here cannot be told.
    """
    from oatie_ops.config.found import choice_notes, found_note, require_decided
    from oatie_ops.config.issues import render

    require_decided(loaded.discovery)
    found = [*_elsewhere(loaded), *found_note(loaded.discovery), *choice_notes(loaded.discovery)]
    for note in (*found, *map(render, loaded.issues)):
        events.notice(note)
