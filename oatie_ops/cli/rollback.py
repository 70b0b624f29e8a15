"""``oatie rollback``: back to an earlier release, through the same gate as a deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oatie_ops.cli.context import Context
from oatie_ops.cli.options import DryRun, Environment, JsonEvents, WaitLock, Yes
from oatie_ops.cli.output import emit_json, emit_report
from oatie_ops.cli.start_run import OPS_FACTORY
from oatie_ops.exit_codes import ExitCode

if TYPE_CHECKING:
    from oatie_ops.cli.releasing import Found, Order
    from oatie_ops.config.load import Loaded
    from oatie_ops.deployment.events import Events, Result
    from oatie_ops.paths import StatePaths
    from oatie_ops.store import Release

LIST_SCHEMA = "oatie.rollback.list/v1"


def command(
    *,
    release: Annotated[
        str | None,
        typer.Argument(help="The number of the release.  [default: the last good one before this]"),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", "-l", help="Show the releases and do nothing.")] = False,
    environment: Environment = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: JsonEvents = False,
    wait_lock: WaitLock = 0.0,
) -> int:
    """Switch back to an earlier release, through the same health gate.

    The release is started as it was deployed: with its own code, build and settings, at the address where
    the application listens now, with today's number of workers. Without an argument it is the last good
    release that is older than the serving one, so once more goes back further, and never forwards. A
    release that serves already is left alone, and that is no error.

    Exits 0 done, 1 there is no such release (with the list) or nothing serves, 5 prerequisite missing,
    6 another run is going on, 7 refused by the gate or the bake: what served before still serves.
    """
    from oatie_ops.cli.releasing import Order, release_command
    from oatie_ops.deployment.who import who

    context = Context()
    if list_:
        return show(context.paths, as_json=json)
    order = Order(who(), dry_run=dry_run, yes=yes, wait_lock_seconds=wait_lock)

    def look(events: Events) -> Found | Result:
        from oatie_ops.config.load import load

        loaded = load(context.root, environment=environment, use_cache=not dry_run)
        return look_around(loaded, context.paths, release, order, events)

    return release_command(look, order, as_json=json, kind="rollback")


def look_around(
    loaded: Loaded, paths: StatePaths, wanted: str | None, order: Order, events: Events
) -> Found | Result:
    """Which release it is, what runs, what is in the way. A dry run looks no secret up."""
    from oatie_ops.cli.filling import filled_with_release
    from oatie_ops.cli.on_engine import engine_place, look_back, refuse_rival
    from oatie_ops.cli.releasing import Found, settle_leftovers
    from oatie_ops.deployment.address import at_running_address
    from oatie_ops.deployment.conduct import serving as serving_now
    from oatie_ops.deployment.events import Result
    from oatie_ops.deployment.facts import gather_rollback
    from oatie_ops.deployment.proxy.front import with_front
    from oatie_ops.deployment.rollback import choose
    from oatie_ops.deployment.targets.process import ProcessSupervisor, ProcessTarget

    settle_leftovers(paths, order, events)
    releases, serving = remembered(paths)
    number = choose(releases, serving, wanted)
    if (place := engine_place(paths, number)) is not None:
        return look_back(loaded, paths, number, place, order, events)
    refuse_rival(paths, "process")
    running = ProcessSupervisor(paths).running()
    if running is not None and running.serves and running.release == str(number):
        events.notice(f"release {number} serves already: nothing to do")
        events.say(serving_now(running))
        return Result("deployed", number, serving, ExitCode.OK)
    directory = paths.releases / str(number)
    loaded, made = filled_with_release(directory, loaded, dry_run=order.dry_run)
    # Whatever the configuration says by now: this is no moment to move.
    settings = with_front(at_running_address(loaded.settings, running), paths, make=not order.dry_run)
    target = ProcessTarget(settings, paths, order.who.actor, OPS_FACTORY)
    return Found(gather_rollback(settings, paths, running, made, serving), target, paths)


def remembered(paths: StatePaths) -> tuple[list[Release], int | None]:
    """All releases, newest first, and the number of the serving one; a missing store is not made."""
    from oatie_ops.store import Store

    if not paths.database.exists():
        return [], None
    with Store.open(paths.database) as store:
        return store.releases.list(), store.releases.serving()


def show(paths: StatePaths, *, as_json: bool) -> int:
    from oatie_ops.deployment.rollback import as_dict, listing

    releases, serving = remembered(paths)
    if as_json:
        emit_json(
            {
                "schema": LIST_SCHEMA,
                "serving": None if serving is None else str(serving),
                "releases": [as_dict(release, serving) for release in releases],
            }
        )
    elif releases:
        emit_report("\n".join(listing(releases, serving)))
    else:
        emit_report("nothing has been deployed here yet")
    return ExitCode.OK
