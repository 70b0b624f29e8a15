"""Where a release runs on an engine of containers: how the commands find that engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oatie_ops.exit_codes import ExitCode

if TYPE_CHECKING:
    from oatie_ops.cli.releasing import Found, Order
    from oatie_ops.config.load import Loaded
    from oatie_ops.deployment.events import Events, Result
    from oatie_ops.deployment.targets.engine import Engine, Place
    from oatie_ops.paths import StatePaths


def engine_place(paths: StatePaths, release: int) -> Place | None:
    """The engine that this release was made for; None where it runs as processes of this host."""
    from oatie_ops.deployment import manifest

    directory = paths.releases / str(release)
    return manifest.read(directory).place if directory.is_dir() else None


def serving_engine(paths: StatePaths) -> Engine | None:
    """The engine of the release that serves, or was the last to; None where those are processes."""
    # Cheaper than to ask the database; there is one as soon as anything was deployed.
    if not paths.releases.is_dir() or not any(paths.releases.iterdir()):
        return None
    from oatie_ops.deployment.facts import history

    past = history(paths)
    number = past.serving or past.last_good
    place = engine_place(paths, number) if number is not None else None
    if place is None:
        return None
    from oatie_ops.deployment.targets.registry import placed

    return placed(place, paths)


def look_at_engine(loaded: Loaded, paths: StatePaths, order: Order) -> Found:
    """What a deploy to the engine of ``[deploy] target`` is decided on."""
    from oatie_ops.cli.releasing import Found
    from oatie_ops.deployment.facts import gather_engine
    from oatie_ops.deployment.targets.registry import configured

    engine = configured(loaded.settings, paths)
    facts = gather_engine(loaded.settings, paths, engine, health_check=order.health_check)
    return Found(facts, engine, paths)


def look_back(  # noqa: PLR0917 - as `look_around`, with what was found out there
    loaded: Loaded, paths: StatePaths, number: int, place: Place, order: Order, events: Events
) -> Found | Result:
    """What a rollback to a release that was made for an engine is decided on."""
    from dataclasses import replace

    from oatie_ops.cli.filling import SUPERVISOR, filled, read_release
    from oatie_ops.cli.releasing import Found
    from oatie_ops.deployment import manifest
    from oatie_ops.deployment.conduct import serving
    from oatie_ops.deployment.events import Result
    from oatie_ops.deployment.facts import gather_engine
    from oatie_ops.deployment.targets.registry import configured

    directory = paths.releases / str(number)
    if order.dry_run:
        made = manifest.read(directory)
    else:
        loaded = filled(loaded, SUPERVISOR)
        made = read_release(directory, loaded)
    settings = loaded.settings
    target = str(place["target"])
    settings = replace(settings, deploy=replace(settings.deploy, target=target))
    engine = configured(settings, paths)
    facts = gather_engine(settings, paths, engine, made=made)
    running = facts.running
    if running is not None and running.serves and running.release == str(number):
        events.notice(f"release {number} serves already: nothing to do")
        events.say(serving(running))
        return Result("deployed", number, facts.previous, ExitCode.OK)
    return Found(facts, engine, paths)
