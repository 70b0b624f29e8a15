"""What each step of a plan does and how it is undone, over the state that the steps of one run share.

The order is in `plan`, the rules of journalling and undoing are in `engine`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.deployment import manifest, releases
from oatie_ops.deployment import prerequisites as required
from oatie_ops.deployment.build import plan_build, run_build
from oatie_ops.deployment.commands import (
    TAIL_LINES,
    CommandFailed,
    CommandTimedOut,
    LineListener,
    command_environment,
    run_command,
)
from oatie_ops.deployment.engine import Voice
from oatie_ops.deployment.facts import Facts, live
from oatie_ops.deployment.interrupts import Interrupts
from oatie_ops.deployment.lock import DeployLock, LockOwner
from oatie_ops.deployment.prune import prune as prune_releases
from oatie_ops.deployment.reconcile import settle
from oatie_ops.deployment.run_journal import RunJournal
from oatie_ops.deployment.source import source_facts
from oatie_ops.deployment.survey import survey
from oatie_ops.deployment.targets.base import SwitchTarget
from oatie_ops.deployment.who import Who
from oatie_ops.paths import StatePaths
from oatie_ops.store import Store
from oatie_ops.supervisor.spec import ReleaseSpec

BUILD_LOG = "build.log"
RELEASE_LOG = "release-command.log"


@dataclass
class Deployment:
    """``release`` is None until its number is taken; ``lock`` outlives the steps and is let go at the end.

    ``previous`` is the release recorded as serving, ``replaces`` whether anything serves in fact.
    """

    facts: Facts
    paths: StatePaths
    journal: RunJournal
    target: SwitchTarget
    interrupts: Interrupts
    who: Who
    lock: DeployLock
    wait_lock_seconds: float = 0.0
    release: int | None = None
    previous: int | None = None
    replaces: bool = False
    made: manifest.Manifest | None = None
    opened: Store | None = None

    @property
    def number(self) -> int:
        assert self.release is not None, "the lock step takes the number"
        return self.release

    @property
    def store(self) -> Store:
        assert self.opened is not None, "the lock step opens the store"
        return self.opened

    def store_if_any(self) -> Store | None:
        """Before the lock, nothing may be made: only a store that is there already is opened."""
        if self.opened is None and self.paths.database.exists():
            self.opened = Store.open(self.paths.database)
        return self.opened

    @property
    def known_previous(self) -> int | None:
        return self.facts.previous if self.release is None else self.previous

    @property
    def directory(self) -> Path:
        return self.paths.releases / str(self.number)

    @property
    def spec(self) -> ReleaseSpec:
        return live(_made(self).spec(), self.facts.settings)


def prerequisites(run: Deployment, voice: Voice) -> str:
    found = required.problems(run.facts)
    if found:
        raise required.error_for(found)
    return required.summary(run.facts)


def lock(run: Deployment, voice: Voice) -> str:
    """Whoever waited finds another world: leftovers are settled and what serves is looked up anew."""
    run.paths.ensure()
    run.lock.acquire(
        run.facts.kind,
        actor=run.who.actor,
        wait_seconds=run.wait_lock_seconds,
        on_wait=lambda holder, waited: voice.waiting(_lock_wait(holder)),
    )
    run.opened = Store.open(run.paths.database)
    for settled in settle(run.store, run.paths, run.target):
        voice.notice(settled.message)
    run.previous, running = run.store.releases.serving(), run.target.running()
    run.replaces = running is not None and running.serves
    with run.interrupts.held_back():
        if run.facts.kind == "deploy":
            _take_number(run)
        else:
            run.release, run.made = run.facts.release, run.facts.made
        run.journal.open(run.store, run.number, run.previous)
    return f"release {run.number}" if run.facts.kind == "deploy" else ""


def _take_number(run: Deployment) -> None:
    source = source_facts(run.facts.settings.root)
    after = releases.highest_number(run.paths.releases)
    run.release = run.store.releases.create(actor=run.who.actor, source=source, after=after).number


def give_up_release(run: Deployment) -> None:
    if run.release is not None:
        run.store.releases.mark(run.release, "bad", "its deploy was undone")


def snapshot(run: Deployment, voice: Voice) -> str:
    settings = run.facts.settings
    seen = survey(
        settings.root,
        state_home=run.paths.home,
        exclude=settings.deploy.exclude,
        shared=settings.deploy.shared,
    )
    app = releases.snapshot(seen, run.directory)
    _record(run, app, python=None, build_key=None)
    return f"{seen.file_count} files, {required.size(seen.total_bytes)}"


def remove_release(run: Deployment) -> None:
    if run.release is not None:
        releases.remove_release(run.paths, run.release)


def build(run: Deployment, voice: Voice) -> str:
    made, settings = _made(run), run.facts.settings.deploy
    plan = plan_build(made.directory, settings.build, builds=run.paths.builds, release=run.number)
    log = run.paths.logs / BUILD_LOG
    with _explained(run, voice, log) as take_line:
        result = run_build(
            plan,
            environment={**os.environ, **made.app.env},
            log=log,
            on_line=take_line,
            timeout_seconds=settings.build_timeout_seconds,
        )
    _record(run, made.directory, python=result.python, build_key=result.key)
    run.store.releases.mark(run.number, "built")
    if result.reused and not result.ran:
        return "nothing to do: what it depends on has not changed, the environment is reused"
    rest = ", what the others install was there" if result.skipped else ""
    return f"{len(result.ran)} of {len(settings.build)} commands ran{rest}"


def release_command(run: Deployment, voice: Voice) -> str:
    made, settings = _made(run), run.facts.settings.deploy
    assert settings.release is not None, "planned only where there is one"
    identity = {
        "OATIE_APP": made.app.name,
        "OATIE_RELEASE": str(run.number),
        "OATIE_DATA_DIR": str(run.paths.data),
    }
    log = run.paths.logs / RELEASE_LOG
    with _explained(run, voice, log) as take_line:
        run_command(
            settings.release,
            role="release command",
            cwd=made.directory,
            environment=command_environment(
                {**os.environ, **made.app.env}, python=made.python, extra=identity
            ),
            log=log,
            on_line=take_line,
            timeout_seconds=settings.release_timeout_seconds,
            timeout_key="[deploy] release_timeout",
        )
    return "exit code 0"


@contextmanager
def _explained(run: Deployment, voice: Voice, log: Path) -> Iterator[LineListener]:
    """A failing command is shown with the last lines of the whole step, not only with its own; and the
    operator is not sent to the release's directory, which the undo is about to remove."""
    tail: deque[str] = deque(maxlen=TAIL_LINES)

    def take_line(line: str) -> None:
        tail.append(line)
        voice.output(line)

    try:
        yield take_line
    except CommandFailed as error:
        error.details = tuple(tail)
        if not isinstance(error, CommandTimedOut):
            error.fix = f"run it by hand in {run.facts.settings.root}; all of its output is in {log}"
        raise


def start_supervisor(run: Deployment, voice: Voice) -> str:
    if (running := run.target.running()) is not None:
        return f"one runs meanwhile (pid {running.supervisor_pid})"
    # Cut in half, nobody would know of the new process.
    with run.interrupts.held_back():
        pid = run.target.start_supervisor()
    return f"pid {pid}"


def supervisor_leaves(run: Deployment) -> None:
    run.target.leave_if_empty()


def spawn(run: Deployment, voice: Voice) -> str:
    pids = run.target.spawn(run.spec, health_check=run.facts.health_check)
    return f"pid{'s' if len(pids) != 1 else ''} {', '.join(map(str, pids))}"


def gate(run: Deployment, voice: Voice) -> str:
    run.target.gate(voice.waiting)
    return "every new worker is ready" if run.facts.health_check else "every new worker is up"


def promote(run: Deployment, voice: Voice) -> str:
    return f"cut-over {run.target.promote():.0f} ms"


def abort_switch(run: Deployment) -> None:
    run.target.abort()


def drain(run: Deployment, voice: Voice) -> str:
    said = run.target.drain(voice.waiting)
    return said if run.replaces else "nothing to wait for"


def bake(run: Deployment, voice: Voice) -> str:
    deploy = run.facts.settings.deploy
    run.target.bake(deploy.bake_seconds, deploy.bake_max_error_ratio, voice.waiting)
    return f"healthy for {deploy.bake_seconds:g} s"


def mark_good(run: Deployment, voice: Voice) -> str:
    """The records first: if they cannot be written, the switch can still be turned back."""
    run.store.releases.mark(run.number, "good")
    run.store.releases.set_serving(run.number)
    run.target.commit()
    return f"release {run.number} serves"


def unmark_good(run: Deployment) -> None:
    run.store.releases.set_serving(run.previous)


def prune(run: Deployment, voice: Voice) -> str:
    keep = run.facts.settings.deploy.keep
    report = prune_releases(run.store, run.paths, keep=keep, protected=[run.number])
    for database in report.rescued:
        voice.notice(f"a database was inside an old release; it was moved to {database}")
    if not report.releases:
        return "nothing to remove"
    return f"removed release{'s' if len(report.releases) > 1 else ''} {', '.join(map(str, report.releases))}"


def _lock_wait(holder: LockOwner | None) -> str:
    if holder is None:
        return "another run holds the deploy lock"
    return f"{holder.action} by {holder.actor} (process {holder.identity.pid}) holds the deploy lock"


def _made(run: Deployment) -> manifest.Manifest:
    assert run.made is not None, "the snapshot writes the manifest"
    return run.made


def _record(run: Deployment, app: Path, *, python: str | None, build_key: str | None) -> None:
    """Writes the manifest: with what this release is run, now and in any later rollback to it."""
    stored = run.store.releases.get(run.number)
    assert stored is not None
    run.made = manifest.Manifest(
        number=run.number,
        created_at=stored.created_at,
        app=run.facts.app,
        directory=app,
        python=python,
        build_key=build_key,
        source=stored.source,
    )
    manifest.write(run.directory, run.made)
