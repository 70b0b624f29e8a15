"""Where a release runs on an engine of containers: how the commands find that engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oatie_ops.exit_codes import ExitCode

if TYPE_CHECKING:
    from oatie_ops.cli.context import Context
    from oatie_ops.cli.releasing import Found, Order
    from oatie_ops.config.load import Loaded
    from oatie_ops.deployment.events import Events, Result
    from oatie_ops.deployment.targets.engine import Engine, Place
    from oatie_ops.health import model
    from oatie_ops.paths import StatePaths
    from oatie_ops.supervisor.spec import ReleaseSpec


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


def told_by(engine: Engine) -> Callable[[], model.Result] | None:
    """What the cluster says of its pods, whose port is none of this machine; None where it can be asked."""
    if engine.name != "kubernetes":
        return None
    from oatie_ops.health.model import Result, Status

    def told() -> model.Result:
        status = engine.status()
        serving = sum(each["state"] == "serving" for each in status["workers"])
        found = {"running": Status.PASS, "degraded": Status.WARN}.get(status["state"], Status.FAIL)
        said = f"{serving} of {status['wanted_workers']} pods are ready, says the cluster"
        return Result(found, "; ".join(filter(None, (said, status["detail"]))))

    return told


def refuse_rival(paths: StatePaths, target: str) -> None:
    """One project serves in one place: another target could not even listen. Raises `PrerequisiteMissing`."""
    from oatie_ops.deployment.manifest import ReleaseUnusable
    from oatie_ops.errors import OatieError, PrerequisiteMissing

    try:
        engine = serving_engine(paths)
    except ReleaseUnusable:  # nothing tells where it ran; another release is the way out of that
        return
    if engine is None or engine.name == target:
        return
    try:
        running = engine.running()
    except OatieError:  # what does not answer is not in the way
        return
    if running is not None and running.serves:
        raise PrerequisiteMissing(
            f"release {running.release} serves on {engine.name}",
            why=f"this run is for {target}, and both would answer for one application",
            fix="`oatie stop` first",
        )


def look_at_engine(loaded: Loaded, paths: StatePaths, order: Order) -> Found:
    """What a deploy to the engine of ``[deploy] target`` is decided on."""
    from oatie_ops.cli.releasing import Found
    from oatie_ops.deployment.facts import gather_engine
    from oatie_ops.deployment.targets.registry import configured

    refuse_rival(paths, loaded.settings.deploy.target)
    engine = configured(loaded.settings, paths)
    facts = gather_engine(loaded.settings, paths, engine, health_check=order.health_check)
    return Found(facts, engine, paths)


def look_back(  # noqa: PLR0917 - as `look_around`, with what was found out there
    loaded: Loaded, paths: StatePaths, number: int, place: Place, order: Order, events: Events
) -> Found | Result:
    """What a rollback to a release that was made for an engine is decided on."""
    from dataclasses import replace

    from oatie_ops.cli.filling import filled_with_release
    from oatie_ops.cli.releasing import Found
    from oatie_ops.deployment.conduct import serving
    from oatie_ops.deployment.events import Result
    from oatie_ops.deployment.facts import gather_engine
    from oatie_ops.deployment.targets.registry import configured

    loaded, made = filled_with_release(paths.releases / str(number), loaded, dry_run=order.dry_run)
    settings = loaded.settings
    target = str(place["target"])
    refuse_rival(paths, target)
    settings = replace(settings, deploy=replace(settings.deploy, target=target))
    engine = configured(settings, paths)
    facts = gather_engine(settings, paths, engine, made=made)
    running = facts.running
    if running is not None and running.serves and running.release == str(number):
        events.notice(f"release {number} serves already: nothing to do")
        events.say(serving(running))
        return Result("deployed", number, facts.previous, ExitCode.OK)
    return Found(facts, engine, paths)


@contextmanager
def locked(paths: StatePaths, action: str) -> Iterator[None]:
    """No deploy meanwhile. Raises `Locked`."""
    from oatie_ops.deployment.lock import DeployLock
    from oatie_ops.deployment.who import who

    lock = DeployLock(paths.deploy_lock)
    lock.acquire(action, actor=who().actor)
    try:
        yield
    finally:
        lock.release()


def serving_spec(context: Context) -> ReleaseSpec:
    """Of the release that serves on an engine, with today's values of what came from outside."""
    from oatie_ops.cli.filling import SUPERVISOR, filled, read_release
    from oatie_ops.deployment.facts import history, live

    past = history(context.paths)
    number = past.serving or past.last_good
    loaded = filled(context.loaded, SUPERVISOR)
    return live(read_release(context.paths.releases / str(number), loaded).spec(), loaded.settings)


def configured_engine(context: Context) -> Engine:
    """The same engine, with the configuration that making more containers needs."""
    from dataclasses import replace

    from oatie_ops.deployment.facts import history
    from oatie_ops.deployment.targets.registry import configured

    past = history(context.paths)
    number = past.serving or past.last_good
    assert number is not None, "there is an engine only where something was deployed"
    place = engine_place(context.paths, number)
    assert place is not None, "asked only for a release on an engine"
    settings = context.loaded.settings
    deploy = replace(settings.deploy, target=str(place["target"]))
    return configured(replace(settings, deploy=deploy), context.paths)


def start_on_engine(context: Context, engine: Engine, *, as_json: bool) -> int:
    """`oatie start` where the release is on an engine: what was stopped runs again."""
    import time

    from oatie_ops.cli.output import emit_json, emit_report
    from oatie_ops.cli.status_report import SCHEMA, exit_code, render
    from oatie_ops.cli.waiting import Waiting
    from oatie_ops.deployment.reconcile import reconcile

    reconcile(context.paths)
    spec = serving_spec(context)
    engine = configured_engine(context)
    with Waiting(quiet=as_json) as waiting, locked(context.paths, "start"):
        engine.start(spec.name, spec, waiting.update)
    status = engine.status()
    if as_json:
        emit_json({"schema": SCHEMA, **status})
    else:
        emit_report("\n".join(render(status, time.time())))
    return exit_code(status)


class EngineRollout:
    """The rung ``restart = "rollout"``: every replica replaced by a fresh one of the same release."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def restart(self) -> str:
        import asyncio

        return await asyncio.to_thread(self._restart)

    def _restart(self) -> str:
        spec = serving_spec(self._context)
        engine = configured_engine(self._context)
        with locked(self._context.paths, "recover"):
            engine.restart(spec, lambda _text: None)
        return f"every replica of release {spec.name} has been replaced and is healthy"


def scale_on_engine(context: Context, replicas: int, *, quiet: bool) -> str:
    """`oatie scale N`. Raises `UsageError` where the release is no engine's."""
    from oatie_ops.cli.waiting import Waiting
    from oatie_ops.errors import UsageError

    if serving_engine(context.paths) is None:
        raise UsageError(
            "there are no replicas here",
            why="the application runs as processes of this host, or was never deployed",
            fix="processes are resized with `oatie scale workers=4`",
        )
    spec = serving_spec(context)
    engine = configured_engine(context)
    with Waiting(quiet=quiet) as waiting, locked(context.paths, "scale"):
        engine.scale(spec, replicas, waiting.update)
    later = "the next deploy makes as many as oatie.toml says"
    if engine.name == "kubernetes":
        later = "it stays so until oatie.toml says another number"
    return f"release {spec.name} has {replicas} replica{'s' if replicas != 1 else ''}; {later}"


def deploy_accessory(
    context: Context, name: str, *, environment: str | None, dry_run: bool, as_json: bool
) -> int:
    """`oatie deploy --accessory NAME`: the one way in which an accessory is changed.

    Exits 7 where the new one did not start and the old one runs again.
    """
    from oatie_ops.cli.filling import filled
    from oatie_ops.cli.output import emit_json, emit_report
    from oatie_ops.cli.waiting import Waiting
    from oatie_ops.config.load import load
    from oatie_ops.deployment.targets.docker import configured
    from oatie_ops.deployment.who import who
    from oatie_ops.store import Store

    loaded = load(context.root, environment=environment, use_cache=not dry_run)
    require_accessory(name, loaded.settings.accessories)
    if dry_run:
        emit_report(f"would make the accessory {name} anew, with a gap; the application is not touched")
        return ExitCode.OK
    context.paths.ensure()
    target = configured(filled(loaded).settings, context.paths)
    actor = who()
    with Waiting(quiet=as_json) as waiting, locked(context.paths, f"deploy --accessory {name}"):
        said = target.replace_accessory(name, waiting.update)
        with Store.open(context.paths.database) as store:
            store.audit.add(actor.actor, actor.origin, "deploy", f"accessory {name}", "deployed", said)
    if as_json:
        emit_json({"schema": "oatie.deploy.accessory/v1", "accessory": name, "message": said})
    else:
        emit_report(said)
    return ExitCode.OK


def require_accessory(name: str, known: Collection[str]) -> None:
    from difflib import get_close_matches

    from oatie_ops.errors import UsageError

    if name in known:
        return
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    there = f"there are: {', '.join(known)}" if known else "[accessories] in oatie.toml has none"
    raise UsageError(f"there is no accessory {name!r}", fix=f"{hint}{there}")
