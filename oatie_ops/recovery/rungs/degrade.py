"""``degrade = "SERVICE"``: its routes get canned answers until the failing service is well again."""

from __future__ import annotations

from dataclasses import dataclass

from oatie_ops.errors import OatieError
from oatie_ops.recovery.rungs.base import ActionFailed, Occasion, Refused, Tools


@dataclass(frozen=True)
class DegradeService:
    service: str
    tools: Tools

    async def run(self, occasion: Occasion) -> str:
        if self.tools.degrade is None:
            raise Refused("nobody can degrade anything from here")
        try:
            why = f"{occasion.service} fails: {occasion.output}"
            return await self.tools.degrade(self.service, occasion.service, why)
        except OatieError as error:
            raise ActionFailed(f"{error.what}: {error.why}" if error.why else error.what) from error
