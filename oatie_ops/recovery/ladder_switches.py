"""How a ladder degrades: through the supervisor that holds on to it, or where none runs, for a while."""

from __future__ import annotations

from oatie_ops.degradation.automatic import LEASE_SECONDS
from oatie_ops.degradation.conductor import BY_CAUSE, Conductor
from oatie_ops.degradation.decision import FULL, Decision
from oatie_ops.degradation.desk import Desk
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.threads import CheckThreads
from oatie_ops.paths import StatePaths

BY_RECOVERY = "recovery:"


class HeldSwitches:
    """Lasts until it is given back."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    async def degrade(self, service: str, failing: str, reason: str) -> str:
        obeyed = (await self._conductor.hold(service, f"{BY_RECOVERY}{failing}", reason)).obeyed
        return f"{service} is degraded, {obeyed.obeying} of {obeyed.workers} workers obey"

    async def restore(self, service: str, failing: str) -> None:
        await self._conductor.let_go(service, f"{BY_RECOVERY}{failing}")


class DeskSwitches:
    """For workers that somebody else runs; nobody renews it, so it ends after `LEASE_SECONDS`."""

    def __init__(self, paths: StatePaths, threads: CheckThreads) -> None:
        self._desk, self._threads = Desk(paths), threads

    async def degrade(self, service: str, failing: str, reason: str) -> str:
        now = self._desk.now()
        wanted = Decision(
            service=service,
            owner=BY_CAUSE,
            level=FULL,
            reason=reason,
            actor="oatie",
            origin="oatie recover",
            cause=f"{BY_RECOVERY}{failing}",
            started_at=now.epoch_seconds,
            until=now.epoch_seconds + LEASE_SECONDS,
            deadline=now.monotonic_seconds + LEASE_SECONDS,
            boot_id=now.boot_id,
        )
        await self._threads.call("switches", lambda: self._desk.decide(wanted), Attempt())
        return (
            f"{service} is degraded for {LEASE_SECONDS / 60:.0f} min; no supervisor runs that could renew it"
        )

    async def restore(self, service: str, failing: str) -> None:
        key = (service, BY_CAUSE, f"{BY_RECOVERY}{failing}")
        await self._threads.call(
            "switches", lambda: self._desk.withdraw([key], "recovered", "oatie"), Attempt()
        )
