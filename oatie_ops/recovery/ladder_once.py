"""A recovery without a supervisor: the command does it itself, with checks that it runs itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oatie_ops.config.settings import Settings
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.board import Board
from oatie_ops.health.checks import build
from oatie_ops.health.checks.base import Check
from oatie_ops.health.checks.base import Tools as CheckTools
from oatie_ops.health.model import CheckSpec, Result, Snapshot, Status, system_clock
from oatie_ops.health.once import NOT_RUNNING, asks_the_application
from oatie_ops.health.plan import NEEDS, plan
from oatie_ops.health.runner import run_check
from oatie_ops.health.threads import CheckThreads
from oatie_ops.paths import StatePaths
from oatie_ops.recovery.ladder_climber import Climber, Emit
from oatie_ops.recovery.ladder_journal import Journal
from oatie_ops.recovery.ladder_loop import Recovery
from oatie_ops.recovery.ladder_proof import provers
from oatie_ops.recovery.ladder_switches import DeskSwitches
from oatie_ops.recovery.rungs.base import ActionFailed, Rollout, Tools


@dataclass(frozen=True)
class Order:
    """Who wants which service recovered, from which rung on, and why."""

    service: str
    from_rung: int
    actor: str
    origin: str
    reason: str = ""


async def recover_once(  # noqa: PLR0917
    settings: Settings,
    paths: StatePaths,
    order: Order,
    emit: Emit,
    rollout: Rollout | None = None,
    told: Callable[[], Result] | None = None,
) -> dict[str, Any]:
    """As `Recovery.recover`, in an event loop of its own.

    ``rollout``: the application runs on an engine of containers, so that its checks can be asked. ``told``:
    what that engine says of it, where it has no port on this machine.
    """
    paths.ensure()
    checks = _Checks(settings, paths.home, serving=rollout is not None, told=told)
    for name in provers(order.service, checks.snapshot()):
        await checks.look(name)
    threads, journal = CheckThreads(), Journal(paths.database)
    switches = DeskSwitches(paths, threads)
    tools = Tools(
        settings.root,
        threads,
        rollout=rollout,
        degrade=switches.degrade,
        restore=switches.restore,
        page=_pager(settings, threads),
    )
    climber = Climber(tools, journal, checks.snapshot, checks.look)
    recovery = Recovery(
        settings,
        paths.recovery_lock,
        climber,
        lambda _service, _text: None,
        on_engine=rollout is not None,
    )
    await journal.audit(order.actor, order.origin, order.service, "requested", order.reason)
    result = await recovery.recover(
        order.service, from_rung=order.from_rung, actor=order.actor, reason=order.reason, emit=emit
    )
    how = "succeeded" if result["status"] == "proven" else "failed"
    await journal.audit(order.actor, order.origin, order.service, how, str(result["proof"]))
    return result


class _Checks:
    """Runs checks when asked, where no loop does."""

    def __init__(
        self, settings: Settings, home: Path, *, serving: bool, told: Callable[[], Result] | None
    ) -> None:
        self._serving, self._told = serving, told
        services = plan(settings, home, supervised=False)
        self._board = Board(services, system_clock())
        tools = CheckTools(settings, CheckThreads(), home)
        specs = [spec for service in services for spec in service.checks if spec.type != NEEDS]
        self._checks = [(spec, build(spec, tools)) for spec in specs]

    def snapshot(self) -> Snapshot:
        return self._board.snapshot

    async def look(self, service: str) -> list[tuple[CheckSpec, Result]]:
        found = []
        for spec, check in self._checks:
            if spec.service == service:
                result = await self._result(spec, check)
                self._board.record(spec, result, system_clock())
                found.append((spec, result))
        return found

    async def _result(self, spec: CheckSpec, check: Check) -> Result:
        if asks_the_application(spec):
            if not self._serving:
                return NOT_RUNNING
            if self._told is not None:
                return await asyncio.to_thread(self._told)
        return await run_check(check, spec, Status.UNKNOWN)


def _pager(settings: Settings, threads: CheckThreads) -> Any:
    async def page(channel: str, service: str, text: str) -> None:
        from oatie_ops.recovery.ladder_page import send_page

        alert = settings.alerts[channel]
        why = await threads.call(
            ("page", channel), lambda: send_page(settings.app.name, alert, service, text), Attempt()
        )
        if why:
            raise ActionFailed(why)

    return page
