"""The plan of a deploy or a rollback: pure, facts in, ordered steps out.

`--dry-run` prints exactly this list, and the engine executes exactly this list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oatie_ops.deployment import steps, steps_commands
from oatie_ops.deployment.address import Move
from oatie_ops.deployment.build_plan import installs_python
from oatie_ops.deployment.engine import Step
from oatie_ops.deployment.events import Planned
from oatie_ops.deployment.facts import Facts, owns_port
from oatie_ops.deployment.plan_engine import engine_steps

DeployStep = Step[Any]


@dataclass(frozen=True)
class Plan:
    """``gap`` is empty, or says for how long nothing will answer, which an operator may not want."""

    title: str
    steps: tuple[DeployStep, ...]
    notes: tuple[str, ...]
    gap: str

    def event(self) -> Planned:
        return Planned(self.title, tuple(step.planned() for step in self.steps), self.notes)


def plan(facts: Facts) -> Plan:
    return Plan(_title(facts), tuple(_steps(facts)), tuple(_notes(facts)), gap(facts))


def _steps(facts: Facts) -> list[DeployStep]:
    if facts.engine is not None:
        return engine_steps(facts, facts.engine, _lock(facts))
    return _deploy_steps(facts) if facts.kind == "deploy" else _rollback_steps(facts)


def _deploy_steps(facts: Facts) -> list[DeployStep]:
    return [
        _prerequisites(facts),
        _lock(facts),
        _snapshot(facts),
        *_build(facts),
        *_release_command(facts),
        *_start_supervisor(facts),
        *_switch(facts),
        _prune(facts),
    ]


def _rollback_steps(facts: Facts) -> list[DeployStep]:
    return [_prerequisites(facts), _lock(facts), *_start_supervisor(facts), *_switch(facts)]


def _switch(facts: Facts) -> list[DeployStep]:
    return [
        _spawn(facts),
        _gate(facts),
        _promote(facts),
        _drain(facts),
        *_bake(facts),
        _mark_good(facts),
    ]


def _prerequisites(facts: Facts) -> DeployStep:
    return Step(
        "prerequisites",
        "check Python, disk, memory for old and new workers together, the ports and the state directory",
        steps.prerequisites,
    )


def _lock(facts: Facts) -> DeployStep:
    if facts.kind == "deploy":
        return Step(
            "lock",
            f"no second deploy meanwhile; this one makes release {facts.release}",
            steps.lock,
            steps.give_up_release,
            f"mark release {facts.release} bad",
        )
    return Step("lock", "no deploy meanwhile", steps.lock)


def _snapshot(facts: Facts) -> DeployStep:
    what = f"copy the checkout into release {facts.release}, which never changes afterwards"
    if facts.demo:
        what = f"make release {facts.release} for the demo service, which comes with oatie"
    return Step(
        "snapshot",
        what,
        steps.snapshot,
        steps.remove_release,
        f"remove the files of release {facts.release}",
    )


def _build(facts: Facts) -> list[DeployStep]:
    if not facts.builds:
        return []
    commands = " && ".join(facts.settings.deploy.build)
    why = f"{commands} in the release"
    if installs_python(facts.settings.deploy.build):
        why = f"{commands} in a venv of its own; reused when nothing that it depends on has changed"
    return [Step("build", why, steps_commands.build)]


def _release_command(facts: Facts) -> list[DeployStep]:
    command = facts.settings.deploy.release
    if not command:
        return []
    why = f"{command}, once, before any new worker starts"
    return [Step("release-command", why, steps_commands.release_command)]


def _start_supervisor(facts: Facts) -> list[DeployStep]:
    if facts.running:
        return []
    app = facts.settings.app
    return [
        Step(
            "start-supervisor",
            f"none runs: start one in the background, it holds {app.host}:{app.port}",
            steps.start_supervisor,
            steps.supervisor_leaves,
            "it leaves again, as it has nothing to serve",
        )
    ]


def _spawn(facts: Facts) -> DeployStep:
    return Step(
        "spawn",
        f"start {_workers(facts)} of release {facts.release}; no user can reach them yet",
        steps.spawn,
        steps.abort_switch,
        "stop the new workers",
    )


def _gate(facts: Facts) -> DeployStep:
    app = facts.app
    if not facts.health_check:
        why = "wait until each new worker is up; its health is not checked (--no-health-check)"
    elif app.ready:
        why = f"each new worker must answer GET {app.ready} with 2xx in {app.ready_timeout_seconds:g} s"
    else:
        why = f"each new worker must answer GET / below 500 in {app.ready_timeout_seconds:g} s"
    return Step("gate", why, steps.gate)


def _promote(facts: Facts) -> DeployStep:
    new, old, moves = f"release {facts.release}", _old(facts), facts.move
    if not old:
        why = f"open port {facts.settings.app.port} to {new}"
    elif moves is not None and not facts.has_gap:
        why = f"{new} accepts new connections on {moves.new}, {old} no longer does on {moves.old}"
    elif facts.has_gap:
        why = f"stop {old}, then start {new} on port {facts.settings.app.port}"
    else:
        why = f"{new} accepts new connections, {old} no longer does"
    undo = f"close the port to {new}"
    if old:
        undo = f"{old} is started again" if facts.has_gap else f"{old} accepts again, {new} is drained"
    return Step("promote", why, steps.promote, steps.abort_switch, undo)


def _drain(facts: Facts) -> DeployStep:
    old = _old(facts)
    if not old:
        why = "nothing served before, so nothing has to finish"
    elif facts.has_gap:
        why = f"{old} has been stopped already"
    else:
        why = f"{old} finishes what it has (at most {facts.settings.app.drain_seconds:g} s) and stays warm"
    return Step("drain", why, steps.drain)


def _bake(facts: Facts) -> list[DeployStep]:
    deploy = facts.settings.deploy
    if not facts.health_check or deploy.bake_seconds <= 0:
        return []
    why = (
        f"watch release {facts.release} for {deploy.bake_seconds:g} s: exits, readiness, "
        f"at most {deploy.bake_max_error_ratio:.0%} of 5xx"
    )
    return [Step("bake", why, steps.bake)]


def _mark_good(facts: Facts) -> DeployStep:
    old = _old(facts)
    stops = f"; {old} stops" if old and not facts.has_gap else ""
    why = f"release {facts.release} is the one to start and to return to{stops}"
    before = "no release" if facts.previous is None else f"release {facts.previous}"
    undo = f"{before} is the one to start"
    return Step("mark-good", why, steps.mark_good, steps.unmark_good, undo, commit=True)


def _prune(facts: Facts) -> DeployStep:
    keep = facts.settings.deploy.keep
    return Step("prune", f"keep the newest {keep} releases, never lose the last good one", steps.prune)


def gap(facts: Facts) -> str:
    """A program that binds the port itself is stopped before its successor can listen."""
    if not facts.has_gap:
        return ""
    if owns_port(facts.app) and facts.app.command:
        who = f"`{facts.app.command[0]}` cannot take over the listening socket"
    else:
        who = f"{_old(facts)} holds the port itself"
    return (
        f"{who}: after the stop of {_old(facts)}, connections are refused for the time that "
        f"release {facts.release} takes to open port {facts.settings.app.port}, {_how_long(facts)}"
    )


def _how_long(facts: Facts) -> str:
    if facts.last_gap_ms is None:
        return "which has not been measured yet"
    return f"about {max(facts.last_gap_ms / 1000, 0.1):.1f} s if it is as last time"


def _title(facts: Facts) -> str:
    old = f" in place of {_old(facts)}" if _old(facts) else ""
    verb = "deploy" if facts.kind == "deploy" else "roll back"
    return f"{verb} {facts.app.name} ({what_runs(facts)}): release {facts.release}{old}"


def what_runs(facts: Facts) -> str:
    if facts.demo:
        return "the built-in demo service"
    return facts.app.run or " ".join(facts.app.command or ())


def _notes(facts: Facts) -> list[str]:
    notes = [*facts.notes]
    if facts.has_gap:
        notes.append(
            f"gap: {gap(facts)}. The new release is first gated on a private port, so a bad one never "
            "costs the old one"
        )
    if facts.has_gap and owns_port(facts.app) and facts.kind == "deploy":
        notes.append(
            "there is no gap behind Caddy (`enabled = true` in [proxy]), nor for a program that understands "
            'LISTEN_FDS (`socket = "activation"` in [app])'
        )
    if facts.kind == "deploy" and facts.settings.deploy.release and _old(facts):
        notes.append(
            f"the release command is not undone when a later step fails: it has to suit {_old(facts)} too"
        )
    if facts.move is not None:
        notes.append(_moves(facts.move))
    if not facts.health_check:
        notes.append("--no-health-check: a release that does not answer will be let in")
    return notes


def _moves(moves: Move) -> str:
    if moves.same_port:
        return (
            f"the address moves from {moves.old} to {moves.new}: one must be closed before the other can be "
            "opened, so new connections are refused for some milliseconds"
        )
    return (
        f"the address moves from {moves.old} to {moves.new}: whoever uses the old one, a proxy perhaps, has "
        "to follow"
    )


def _old(facts: Facts) -> str:
    running = facts.running
    if running is None or not running.serves:
        return ""
    return "what runs from the checkout" if running.release == "checkout" else f"release {running.release}"


def _workers(facts: Facts) -> str:
    count = facts.app.workers
    return f"{count} worker{'s' if count != 1 else ''}"
