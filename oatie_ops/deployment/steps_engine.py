"""The steps of a run whose release is an image and runs on an engine of containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oatie_ops.deployment import releases
from oatie_ops.deployment.commands import CommandFailed, CommandTimedOut
from oatie_ops.deployment.context import Deployment, RollingOut
from oatie_ops.deployment.engine import Voice
from oatie_ops.deployment.prune import prune as prune_releases
from oatie_ops.deployment.targets.engine import Engine
from oatie_ops.errors import OatieError

OnEngine = Deployment[Engine]


def record(run: OnEngine, voice: Voice) -> str:
    """Before anything is made at the engine: who clears up after a SIGKILL learns here where to look."""
    with releases.explained_disk_errors(run.directory.parent):
        run.directory.mkdir(mode=0o700)
    run.record(_app(run), place=run.target.place())
    return ""


def forget(run: OnEngine) -> None:
    if getattr(run, "switch_open", False):
        raise OatieError("its record stays", why="it may have containers, as its switch could not be aborted")
    if run.release is not None:
        run.kept_data += releases.remove_release(run.paths, run.release)


def image(run: OnEngine, voice: Voice) -> str:
    made = run.target.build(str(run.number), voice.output)
    run.record(_app(run), place=run.target.place(), image=made)
    run.store.releases.mark(run.number, "built")
    return made


def remove_image(run: OnEngine) -> None:
    if run.release is not None:
        run.target.remove_image(str(run.release))


def release_command(run: OnEngine, voice: Voice) -> str:
    settings = run.facts.settings.deploy
    assert settings.release is not None, "planned only where there is one"
    try:
        run.target.release_command(run.spec, settings.release, settings.release_timeout_seconds, voice.output)
    except CommandFailed as error:
        # Where it could not even start, the engine says what is to be mended.
        if not isinstance(error, CommandTimedOut) and not error.fix:
            error.fix = "mend it, and deploy again; the output above is that of its container"
        raise
    return "exit code 0"


def prepare(name: str, run: OnEngine, voice: Voice) -> str:
    return run.target.prepare(name, run.spec, voice.waiting)


def unprepare(name: str, run: OnEngine) -> None:
    run.target.unprepare(name)


def apply(run: RollingOut, voice: Voice) -> str:
    return run.target.apply(run.spec, voice.waiting)


def watch(run: RollingOut, voice: Voice) -> str:
    return run.target.watch(health_check=run.facts.health_check, tell=voice.waiting)


def undo_rollout(run: RollingOut) -> None:
    run.target.undo()


def bake(run: OnEngine, voice: Voice) -> str:
    deploy = run.facts.settings.deploy
    run.target.bake(deploy.bake_seconds, deploy.bake_max_error_ratio, voice.waiting)
    blind = run.facts.engine is not None and not run.facts.engine.counts_errors
    return f"healthy for {deploy.bake_seconds:g} s" + (" (5xx were not counted)" if blind else "")


def prune(run: OnEngine, voice: Voice) -> str:
    """The records go first: what has none is no longer kept, and the next prune tries again."""
    report = prune_releases(run.store, run.paths, keep=run.facts.settings.deploy.keep, protected=[run.number])
    known: list[Any] = [release for release in run.store.releases.list() if release.status == "good"]
    gone = run.target.prune({str(release.number) for release in known})
    said = [f"records of release {number}" for number in report.releases] + gone
    return f"removed {', '.join(said)}" if said else "nothing to remove"


def _app(run: OnEngine) -> Path:
    """There are no files of the release: it is its image."""
    return run.directory / releases.APP
