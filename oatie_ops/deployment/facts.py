"""Everything that the plan and the prerequisites are decided on, gathered before anything changes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from typing import Literal

from oatie_ops.config import defaults
from oatie_ops.config.candidates import DEMO, DEMO_RUN
from oatie_ops.config.found import refuse_demo_in_place
from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.deployment.address import Move, move, probe_app_port
from oatie_ops.deployment.cautions import cautions
from oatie_ops.deployment.drift import drift, drift_note
from oatie_ops.deployment.host import Host, Port, measure, probe_port
from oatie_ops.deployment.manifest import Manifest, ReleaseUnusable, read
from oatie_ops.deployment.releases import highest_number
from oatie_ops.deployment.survey import SharedLink, Survey, survey
from oatie_ops.deployment.targets.base import Running
from oatie_ops.deployment.targets.engine import Engine, EngineFacts
from oatie_ops.paths import StatePaths
from oatie_ops.store import Store
from oatie_ops.supervisor.client import ControlClient
from oatie_ops.supervisor.spec import CHECKOUT, ReleaseSpec

Kind = Literal["deploy", "rollback"]
MANY_LINKS = 5
RECENT_EVENTS = 1000
# In the data of a run's event: for how long nothing answered.
GAP_MS = "gap_ms"


@dataclass(frozen=True)
class Facts:
    """``release`` is the number that will be made (deploy) or was chosen (rollback).

    ``app`` is what will run: the checkout's settings, or those of the chosen release with the live
    host, port and workers. ``previous`` is the release recorded as serving, running or not. ``made`` is
    the manifest of a release that exists already. ``old_owns_port``: what serves binds the port itself.
    ``last_gap_ms``: for how long nothing answered when a release was last replaced by stop and start.
    ``to_move``: data inside a release that belongs in the checkout by now. ``engine``: what an engine of
    containers would do, None where the release runs as processes of this host.
    """

    kind: Kind
    settings: Settings
    app: AppSettings
    release: int
    previous: int | None
    running: Running | None
    host: Host
    source_bytes: int = 0
    program_problem: str = ""
    health_check: bool = True
    notes: tuple[str, ...] = ()
    made: Manifest | None = None
    old_owns_port: bool = False
    last_gap_ms: float | None = None
    to_move: tuple[SharedLink, ...] = ()
    engine: EngineFacts | None = None

    @property
    def has_gap(self) -> bool:
        """Must what serves be stopped before its successor can open the port?"""
        if self.engine is not None:
            return False
        serves = self.running is not None and self.running.serves
        return serves and (owns_port(self.app) or self.old_owns_port)

    @property
    def move(self) -> Move | None:
        """Does the application get another address by this run?"""
        if self.engine is not None:
            return None
        return move(self.settings, self.running)

    @property
    def demo(self) -> bool:
        return self.app.run == DEMO_RUN

    @property
    def builds(self) -> bool:
        return self.kind == "deploy" and self.engine is None and bool(self.settings.deploy.build)


@dataclass(frozen=True)
class History:
    """What the store remembers; an absent store is not made by looking."""

    next_release: int
    serving: int | None
    last_good: int | None = None
    last_gap_ms: float | None = None


def history(paths: StatePaths) -> History:
    after = highest_number(paths.releases)
    if not paths.database.exists():
        return History(after + 1, None)
    with Store.open(paths.database) as store:
        newest = max((release.number for release in store.releases.list()), default=0)
        good = store.releases.last_good()
        return History(
            max(newest, after) + 1,
            store.releases.serving(),
            None if good is None else good.number,
            next((e.data[GAP_MS] for e in store.events.recent(RECENT_EVENTS) if GAP_MS in e.data), None),
        )


def gather_deploy(
    settings: Settings,
    paths: StatePaths,
    running: Running | None,
    *,
    health_check: bool = True,
    demo_by_default: bool = False,
) -> Facts:
    """Only looks: a dry run gathers the same facts.

    ``demo_by_default``: nobody asked for the demo, nothing else was found. Raises `DemoInPlace` (exit 4)
    where it would replace something else.
    """
    past = history(paths)
    if demo_by_default and (other := _not_the_demo(paths, past, running)):
        raise refuse_demo_in_place(other)
    seen = survey(
        settings.root,
        state_home=paths.home,
        exclude=settings.deploy.exclude,
        shared=settings.deploy.shared,
    )
    return Facts(
        kind="deploy",
        settings=settings,
        app=settings.app,
        release=past.next_release,
        previous=past.serving,
        running=running,
        host=_host(settings, paths, running),
        source_bytes=seen.total_bytes,
        program_problem=_program_problem(settings),
        health_check=health_check,
        notes=(*_notes(settings, seen), *cautions(settings, seen.entries)),
        old_owns_port=_old_owns_port(settings, paths, running),
        last_gap_ms=past.last_gap_ms,
        to_move=seen.to_move,
    )


def _not_the_demo(paths: StatePaths, past: History, running: Running | None) -> str:
    """What would be replaced, in words; empty where it is a demo, too, or nothing."""
    if running is not None and running.release == CHECKOUT:
        return "" if _serving_name(paths) == DEMO.name else "what runs from this checkout"
    number = past.serving or past.last_good
    if number is None:
        return ""
    try:
        return "" if read(paths.releases / str(number)).app.run == DEMO_RUN else f"release {number}"
    except ReleaseUnusable:
        return f"release {number}"


def _serving_name(paths: StatePaths) -> str:
    """The supervisor tells the name of what it serves, not what that is."""
    return str(ControlClient(paths.control_socket).call("GET", "/control/status")["app"]["name"])


def gather_rollback(
    settings: Settings, paths: StatePaths, running: Running | None, made: Manifest, previous: int | None
) -> Facts:
    """``made`` is the release that was chosen, as its manifest has it; ``previous`` what serves."""
    return Facts(
        kind="rollback",
        settings=settings,
        app=live(made.spec(), settings).app,
        release=made.number,
        previous=previous,
        running=running,
        host=_host(settings, paths, running),
        program_problem=_release_problem(made),
        made=made,
        notes=_drift(made, settings),
        old_owns_port=_old_owns_port(settings, paths, running),
        last_gap_ms=history(paths).last_gap_ms,
    )


def gather_engine(
    settings: Settings,
    paths: StatePaths,
    engine: Engine,
    *,
    health_check: bool = True,
    made: Manifest | None = None,
) -> Facts:
    """For a release that an engine runs. ``made`` is the one to roll back to; None: a new one is made."""
    past = history(paths)
    number = past.next_release if made is None else made.number
    seen = engine.look(release=number, rollback=made is not None)
    app = settings.app if made is None else live(made.spec(), settings).app
    return Facts(
        kind="deploy" if made is None else "rollback",
        settings=settings,
        app=app,
        release=number,
        previous=past.serving,
        running=None if seen.problems else engine.running(),
        host=measure(paths.home, Port(settings.app.host, settings.app.port), None),
        health_check=health_check,
        notes=seen.notes if made is None else (*seen.notes, *_drift(made, settings)),
        made=made,
        engine=seen,
    )


def _drift(made: Manifest, settings: Settings) -> tuple[str, ...]:
    return tuple(filter(None, [drift_note(str(made.number), drift(made.app, settings.app))]))


def live(spec: ReleaseSpec, settings: Settings) -> ReleaseSpec:
    """A release brings its own code and start; where and how wide it runs is today's configuration.

    Only how many processes may bind one port is a matter of the program itself.
    """
    from oatie_ops.deployment.proxy.front import front_of

    now = settings.app
    workers = spec.app.workers if owns_port(spec.app) else now.workers
    app = replace(spec.app, host=now.host, port=now.port, workers=workers)
    return replace(spec, app=front_of(app, now))


def _host(settings: Settings, paths: StatePaths, running: Running | None) -> Host:
    app = probe_app_port(settings, paths, running)
    return measure(paths.home, app, None if running is not None else _ops_port(settings.ops.listen))


def owns_port(app: AppSettings) -> bool:
    """A program that is not handed the listening socket binds the public port itself."""
    return app.command is not None and app.socket != "activation" and app.front is None


def _old_owns_port(settings: Settings, paths: StatePaths, running: Running | None) -> bool:
    if running is None or running.release is None:
        return False
    if running.release == CHECKOUT:
        return owns_port(settings.app)
    try:
        return owns_port(read(paths.releases / running.release).app)
    except ReleaseUnusable:  # it runs, so it was read once; its port is no reason to stop here
        return False


def _ops_port(listen: str) -> Port | None:
    if listen == defaults.OPS_LISTEN:
        return None  # not asked for by name: the supervisor takes the next free port
    host, _, port = listen.rpartition(":")
    return probe_port(host.strip("[]"), int(port)) if port.isdecimal() else None


def _program_problem(settings: Settings) -> str:
    """A command that is not there; what a build makes is looked for only after the build."""
    command, path = settings.app.command, settings.app.env.get("PATH", os.environ.get("PATH"))
    if command is None or settings.deploy.build:
        return ""
    if "/" in command[0]:
        place = settings.root / command[0]
        return "" if os.access(place, os.X_OK) else f"{place} is not there or not executable"
    return "" if shutil.which(command[0], path=path) else f"{command[0]!r} is in no directory of PATH"


def _release_problem(made: Manifest) -> str:
    if not made.directory.is_dir():
        return f"its files are gone: {made.directory}"
    if made.python is not None and not os.access(made.python, os.X_OK):
        return f"the interpreter of its build is gone: {made.python}"
    return ""


def _notes(settings: Settings, seen: Survey) -> list[str]:
    notes = []
    ordinary = [link for link in seen.links if link.reason != "inherited"]
    if ordinary:
        named = ", ".join(str(link.target) for link in ordinary[:MANY_LINKS])
        more = f" and {len(ordinary) - MANY_LINKS} more" if len(ordinary) > MANY_LINKS else ""
        notes.append(f"data shared by all releases, linked instead of copied: {named}{more}")
    for link in seen.links:
        if link.reason == "inherited":
            notes.append(_inherited_note(settings, link))
    for link in seen.to_move:
        notes.append(f"data moves from {link.target} to {settings.root / link.path} ([deploy] shared)")
    for link in seen.unused:
        notes.append(
            f"WARNING: {link.path} of the checkout is used from now on; {link.target}, with which an earlier "
            "release served users, is not"
        )
    if seen.skipped:
        notes.append(f"left out, since they cannot be copied: {', '.join(seen.skipped[:MANY_LINKS])}")
    return notes


def _inherited_note(settings: Settings, link: SharedLink) -> str:
    own = settings.root / link.path
    if os.path.lexists(own):
        return (
            f"WARNING: {own} is NOT used: the releases go on with {link.target}, which has what users did so "
            "far. Move one of the two away while nothing runs (`oatie stop`) to decide otherwise"
        )
    return f"data that was born in a release, linked: {link.target}; {how_to_move(link.path)}"


def how_to_move(path: str) -> str:
    return (
        f"to have it in the checkout, add it to [deploy] shared ({json.dumps(path)}), then `oatie stop` and "
        "`oatie deploy`"
    )
