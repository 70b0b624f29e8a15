"""``restart = "rollout"``: the target's own engine replaces every instance of the running release."""

from __future__ import annotations

from dataclasses import dataclass

from oatie_ops.errors import OatieError
from oatie_ops.recovery.rungs.base import ActionFailed, Occasion, Refused, Rollout


@dataclass(frozen=True)
class RestartRollout:
    rollout: Rollout | None

    async def run(self, occasion: Occasion) -> str:
        if self.rollout is None:
            raise Refused(
                'deploy.target has no rollout to restart; for target process use restart = "worker"'
            )
        try:
            return await self.rollout.restart()
        except OatieError as error:
            raise ActionFailed(f"{error.what}: {error.why}" if error.why else error.what) from error
