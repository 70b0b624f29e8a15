"""``restart = "systemd:UNIT"``: through systemctl, which waits until the unit's job is done."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from oatie_ops.recovery.rungs.base import Occasion, Refused, Tools
from oatie_ops.recovery.rungs.command import Command


@dataclass(frozen=True)
class RestartUnit:
    unit: str
    tools: Tools

    async def run(self, occasion: Occasion) -> str:
        if shutil.which("systemctl") is None:
            raise Refused("systemctl is not installed here")
        # A unit that ended too often is refused by systemd until its count is forgotten (systemd.unit(5),
        # StartLimitIntervalSec=); what comes of that does not matter, the restart tells.
        forget = Command(self._argv("reset-failed"), self.tools, quiet=True)
        await forget.run(occasion)
        await Command(self._argv("restart"), self.tools).run(occasion)
        return f"systemd restarted {self.unit}"

    def _argv(self, verb: str) -> tuple[str, ...]:
        return ("systemctl", "--no-ask-password", verb, "--", self.unit)
