"""``page = "NAME"``: tells the channel ``[alerts.NAME]`` that nothing before has helped."""

from __future__ import annotations

from dataclasses import dataclass

from oatie_ops.recovery.rungs.base import Occasion, Refused, Tools


@dataclass(frozen=True)
class Page:
    channel: str
    tools: Tools

    async def run(self, occasion: Occasion) -> str:
        if self.tools.page is None:
            raise Refused("nobody can be paged from here")
        text = f"needs a human: {occasion.output}"
        await self.tools.page(self.channel, occasion.service, text)
        return f"{self.channel} was told"
