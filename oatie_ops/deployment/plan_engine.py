"""The plan for a target that runs containers. Pure; `oatie_ops.deployment.plan` comes here for it."""

from __future__ import annotations

from functools import partial
from typing import Any

from oatie_ops.deployment import steps, steps_engine
from oatie_ops.deployment.engine import Step
from oatie_ops.deployment.facts import Facts
from oatie_ops.deployment.targets.engine import EngineFacts, Preparation

AnyStep = Step[Any]
NOT_COUNTED = "; 5xx are not counted, since the route is in a server of Caddy that is not ours"


def engine_steps(facts: Facts, engine: EngineFacts, lock: AnyStep) -> list[AnyStep]:
    """``lock`` is the same for every target."""
    run = _switch(facts, engine) if engine.manner == "switch" else _rollout(facts, engine)
    return [
        Step(
            "prerequisites",
            f"check the engine of {engine.target}, the image, the state directory and what stands in front",
            steps.prerequisites,
        ),
        lock,
        *(_make(facts, engine) if facts.kind == "deploy" else []),
        *map(_preparation, engine.preparations),
        *run,
        *([_prune(facts)] if facts.kind == "deploy" else []),
    ]


def _make(facts: Facts, engine: EngineFacts) -> list[AnyStep]:
    release = facts.release
    made: list[AnyStep] = [
        Step(
            "record",
            f"write down what release {release} is and that it is on {engine.target}",
            steps_engine.record,
            steps_engine.forget,
            f"remove the record of release {release}",
        ),
        Step(
            "image",
            f"{engine.image}; the release is the very image that comes out of it",
            steps_engine.image,
            steps_engine.remove_image,
            f"remove the image of release {release}",
        ),
    ]
    command = facts.settings.deploy.release
    if command:
        why = f"{command}, once, in a container of release {release}, before any other starts"
        made.append(_release_command(why, engine))
    return made


def _release_command(why: str, engine: EngineFacts) -> AnyStep:
    """It makes what it needs of that which is prepared for all only after it."""
    name = "release-command"
    if not engine.preparations:
        return Step(name, why, steps_engine.release_command)
    undo = partial(steps_engine.unprepare, name)
    return Step(name, why, steps_engine.release_command, undo, "remove the network and what else it needed")


def _preparation(each: Preparation) -> AnyStep:
    return Step(
        each.name,
        each.why,
        partial(steps_engine.prepare, each.name),
        partial(steps_engine.unprepare, each.name) if each.undo else None,
        each.undo,
    )


def _switch(facts: Facts, engine: EngineFacts) -> list[AnyStep]:
    new, old = f"release {facts.release}", _old(facts)
    takes = f"the proxy sends new requests to {new}" + (f", no longer to {old}" if old else "")
    return [
        Step(
            "spawn",
            f"start {_count(engine)} of {new} on private ports; no user can reach them yet",
            steps.spawn,
            steps.abort_switch,
            f"remove the {engine.unit}s of {new}",
        ),
        Step("gate", _gate(facts, engine), steps.gate),
        Step(
            "promote",
            takes,
            steps.promote,
            steps.abort_switch,
            f"{old} gets the requests again" if old else f"no more requests for {new}",
        ),
        Step("drain", _drain(facts), steps.drain),
        *_bake(facts, engine),
        _mark_good(facts),
    ]


def _rollout(facts: Facts, engine: EngineFacts) -> list[AnyStep]:
    new, old = f"release {facts.release}", _old(facts)
    return [
        Step(
            "apply",
            f"hand {new} to {engine.target}: {_count(engine)}; old ones go when new ones are ready",
            steps_engine.apply,
            steps_engine.undo_rollout,
            f"{old} is rolled out again" if old else "take it away again",
        ),
        Step(
            "watch",
            f"follow the rollout to its real end; every {engine.unit} must be of {new} and ready",
            steps_engine.watch,
        ),
        *_bake(facts, engine),
        _mark_good(facts),
    ]


def _gate(facts: Facts, engine: EngineFacts) -> str:
    app = facts.app
    if not facts.health_check:
        return f"wait until each new {engine.unit} runs; its health is not checked (--no-health-check)"
    path = f"{app.ready} with 2xx" if app.ready else "/ below 500"
    return (
        f"each new {engine.unit} must be healthy to the engine, where it has a health check, and answer "
        f"GET {path} in {app.ready_timeout_seconds:g} s"
    )


def _drain(facts: Facts) -> str:
    old = _old(facts)
    if not old:
        return "nothing served before, so nothing has to finish"
    seconds = facts.settings.app.drain_seconds
    return f"{old} finishes what it has (at most {seconds:g} s) and stays warm"


def _bake(facts: Facts, engine: EngineFacts) -> list[AnyStep]:
    deploy = facts.settings.deploy
    if not facts.health_check or deploy.bake_seconds <= 0:
        return []
    ratio = ""
    if engine.manner == "switch":
        ratio = f", at most {deploy.bake_max_error_ratio:.0%} of 5xx" if engine.counts_errors else NOT_COUNTED
    why = f"watch release {facts.release} for {deploy.bake_seconds:g} s: exits, restarts, readiness{ratio}"
    return [Step("bake", why, steps_engine.bake)]


def _mark_good(facts: Facts) -> AnyStep:
    old = _old(facts)
    why = f"release {facts.release} is the one to start and to return to"
    why += f"; {old} stops and is kept" if old and facts.engine and facts.engine.manner == "switch" else ""
    before = "no release" if facts.previous is None else f"release {facts.previous}"
    undo = f"{before} is the one to start"
    return Step("mark-good", why, steps.mark_good, steps.unmark_good, undo, commit=True)


def _prune(facts: Facts) -> AnyStep:
    keep = facts.settings.deploy.keep
    why = f"keep the newest {keep} releases with their images, never lose the last good one"
    return Step("prune", why, steps_engine.prune)


def _count(engine: EngineFacts) -> str:
    return f"{engine.replicas} {engine.unit}{'s' if engine.replicas != 1 else ''}"


def _old(facts: Facts) -> str:
    running = facts.running
    return f"release {running.release}" if running is not None and running.serves else ""
