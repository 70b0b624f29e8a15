"""One file per action of a ladder; `build` makes the action of one rung."""

from __future__ import annotations

from oatie_ops.recovery.ladder import Kind, Rung
from oatie_ops.recovery.rungs.base import Action, Tools


def build(rung: Rung, tools: Tools) -> Action:
    """Cheap and without I/O; what cannot work says so when it is run."""
    if rung.kind is Kind.RESTART:
        return _restart(rung, tools)
    if rung.kind is Kind.RUN:
        from oatie_ops.recovery.rungs.command import Command

        return Command(rung.argv, tools)
    if rung.kind is Kind.WEBHOOK:
        from oatie_ops.recovery.rungs.webhook import Webhook

        return Webhook(rung.target, tools, rung.timeout_seconds)
    if rung.kind is Kind.DEGRADE:
        from oatie_ops.recovery.rungs.degrade import DegradeService

        return DegradeService(rung.target, tools)
    from oatie_ops.recovery.rungs.page import Page

    return Page(rung.target, tools)


def _restart(rung: Rung, tools: Tools) -> Action:
    kind, _, name = rung.target.partition(":")
    if kind == "docker":
        from oatie_ops.recovery.rungs.container import RestartContainer

        return RestartContainer(name, rung.timeout_seconds)
    if kind == "systemd":
        from oatie_ops.recovery.rungs.unit import RestartUnit

        return RestartUnit(name, tools)
    if kind == "rollout":
        from oatie_ops.recovery.rungs.rollout import RestartRollout

        return RestartRollout(tools.rollout)
    from oatie_ops.recovery.rungs.workers import RestartWorkers

    return RestartWorkers(kind, tools.workers)
