"""``restart = "worker" | "process" | "app"``: new processes for the application, gently or not.

``worker``: new workers beside the old ones, which leave once the new ones are ready; nobody notices.
``process``: all workers are ended at once and booted anew; the supervisor holds the port meanwhile, so
clients wait instead of being refused. ``app``: the first, and where that cannot be, the second.
"""

from __future__ import annotations

from dataclasses import dataclass

from oatie_ops.errors import OatieError
from oatie_ops.recovery.rungs.base import ActionFailed, Occasion, Refused, Workers


@dataclass(frozen=True)
class RestartWorkers:
    how: str
    workers: Workers | None

    async def run(self, occasion: Occasion) -> str:
        if self.workers is None:
            raise Refused("no supervisor runs here, so there are no workers; `oatie start` starts them")
        if self.how == "process":
            return await self._hard(self.workers, occasion)
        try:
            return await self._gentle(self.workers, occasion)
        except ActionFailed as failed:
            if self.how == "worker":
                raise
            return f"{failed}; then {await self._hard(self.workers, occasion)}"

    @staticmethod
    async def _gentle(workers: Workers, occasion: Occasion) -> str:
        try:
            result = await workers.reload(f"recovery of {occasion.service} ({occasion.actor})")
        except OatieError as error:
            raise ActionFailed(_told(error)) from error
        if result.get("status") != "reloaded":
            told = result.get("error") or {}
            why = told.get("why") or told.get("what") or "no reason given"
            raise ActionFailed(f"the new workers were not ready, the old ones go on: {why}")
        return f"new workers of release {result.get('release')} serve, no request was lost"

    @staticmethod
    async def _hard(workers: Workers, occasion: Occasion) -> str:
        try:
            count = await workers.restart_hard(f"recovery of {occasion.service} ({occasion.actor})")
        except OatieError as error:
            raise ActionFailed(_told(error)) from error
        return f"all workers were ended, {count} new one{' serves' if count == 1 else 's serve'}"


def _told(error: OatieError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what
