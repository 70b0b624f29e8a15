"""Follows the load with the number of workers, where the operator turned that on and stated the bounds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from oatie_ops.errors import OatieError
from oatie_ops.supervisor.scaling import Remembered

if TYPE_CHECKING:
    from oatie_ops.scaling.auto import Decision, Follower
    from oatie_ops.supervisor.supervisor import Supervisor

INTERVAL_SECONDS = 60.0
ACTOR = "autoscale"
WORKER_BOOT_SECONDS = 5.0


async def follow(supervisor: Supervisor) -> None:
    """Ends with the supervisor. Costs nothing, and imports nothing, while it is off."""
    follower: Follower | None = None
    bounds: tuple[int, int] | None = None
    while not supervisor.stopping.is_set():
        decided = supervisor.scaling.following
        if decided is None:
            follower = bounds = None
        else:
            if follower is None or bounds != (decided.min, decided.max):
                follower, bounds = _new_follower(supervisor, decided), (decided.min, decided.max)
            await _step(supervisor, follower)
        await supervisor.scaling.wait_for_change(INTERVAL_SECONDS)


def _new_follower(supervisor: Supervisor, decided: Remembered) -> Follower:
    from oatie_ops.scaling.auto import Follower
    from oatie_ops.scaling.setup import Setup

    return Follower(
        Setup(
            startup_seconds=WORKER_BOOT_SECONDS,
            budget=supervisor.settings.scale.budget,
            min_replicas=decided.min,
            max_replicas=decided.max,
        )
    )


async def _step(supervisor: Supervisor, follower: Follower) -> None:
    running = supervisor.fleet.desired
    try:
        decision = await asyncio.to_thread(_decide, supervisor, follower, running)
    except (OatieError, OSError) as error:
        supervisor.scaling.told = f"the load cannot be read: {error}"
        return
    supervisor.scaling.told = decision.reason
    if decision.workers is None or decision.workers == running or supervisor.scaling.following is None:
        return
    try:
        await supervisor.scale(decision.workers, f"{ACTOR} ({decision.reason})")
    except OatieError as error:
        supervisor.scaling.told = error.what


def _decide(supervisor: Supervisor, follower: Follower, running: int) -> Decision:
    from oatie_ops.scaling.auto import Decision
    from oatie_ops.scaling.live import facts_of
    from oatie_ops.scaling.observed import read

    seen = read(supervisor.paths.home, facts_of(supervisor.settings))
    if seen is None:
        return Decision(None, "nothing was measured yet")
    return follower.decide(seen, running)
