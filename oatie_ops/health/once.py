"""All checks once, in this process: what ``oatie health`` does where no supervisor runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from oatie_ops.config.settings import Settings
from oatie_ops.health.board import Board
from oatie_ops.health.checks import build
from oatie_ops.health.checks.base import Tools
from oatie_ops.health.keeper import Keeper
from oatie_ops.health.model import CheckSpec, Result, Snapshot, Status, system_clock
from oatie_ops.health.plan import NEEDS, ServicePlan, plan
from oatie_ops.health.runner import run_check
from oatie_ops.health.threads import CheckThreads
from oatie_ops.paths import StatePaths

# Whatever answers on the application's port without a supervisor is somebody else's server.
NOT_RUNNING = Result(Status.FAIL, "not running: no supervisor runs here; `oatie start` starts it")


def run_checks(
    settings: Settings,
    state_home: Path,
    *,
    only: Collection[str] = (),
    timeout_seconds: float | None = None,
    serving: bool = False,
    told: Callable[[], Result] | None = None,
) -> Snapshot:
    """Runs them side by side. What asks the application fails unasked where nothing of ours serves it.

    ``serving``: an engine of containers does. ``told``: what that engine says of it, where the application
    has no port on this machine that could be asked, or nothing of it serves.

    ``only``: these services and what they need; empty means all.

    ``timeout_seconds`` shortens the time-out of every check that would wait longer.
    """
    services = _chosen(plan(settings, state_home, supervised=False), only)
    board = Board(services, system_clock())
    # Returns nothing: asyncio makes a text of what its main task returns, which of a snapshot takes long.
    asking = _run(
        board, settings, state_home, services, timeout_seconds=timeout_seconds, serving=serving, told=told
    )
    asyncio.run(asking)
    return board.snapshot


def _chosen(services: tuple[ServicePlan, ...], only: Collection[str]) -> list[ServicePlan]:
    by_name = {service.name: service for service in services}
    wanted: dict[str, None] = {}
    waiting = list(only or by_name)
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in wanted:
            wanted[name] = None
            waiting += by_name[name].needs
    return [service for service in services if service.name in wanted]


def _recall(board: Board, database: Path) -> None:
    """What a supervisor remembered, and the maintenance that was announced; a look makes no database."""
    if not database.exists():
        return
    recalled = Keeper(database).recall(board.snapshot.services)
    if recalled is not None:
        board.restore(recalled.tracks)
        board.hold(recalled.windows, system_clock())


async def _run(
    board: Board,
    settings: Settings,
    state_home: Path,
    services: list[ServicePlan],
    *,
    timeout_seconds: float | None,
    serving: bool,
    told: Callable[[], Result] | None,
) -> None:
    tools = Tools(settings, CheckThreads(), state_home)
    _recall(board, StatePaths(state_home).database)

    async def one(spec: CheckSpec) -> None:
        if told is not None and asks_the_application(spec):
            board.record(spec, await asyncio.to_thread(told), system_clock())
            return
        if not serving and asks_the_application(spec):
            board.record(spec, NOT_RUNNING, system_clock())
            return
        limit = (
            spec.timeout_seconds if timeout_seconds is None else min(spec.timeout_seconds, timeout_seconds)
        )
        result = await run_check(build(spec, tools), replace(spec, timeout_seconds=limit), Status.UNKNOWN)
        board.record(spec, result, system_clock())

    specs = [spec for service in services for spec in service.checks if spec.type != NEEDS]
    await asyncio.gather(*(one(spec) for spec in specs))


def asks_the_application(spec: CheckSpec) -> bool:
    """The built-in check, or a declared one of a path on the application instead of a URL."""
    return spec.type == "app" or (spec.type in ("http", "https") and "url" not in spec.options)
