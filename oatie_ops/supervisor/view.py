"""What the ops API and the check loop may ask of a running supervisor."""

from __future__ import annotations

from typing import Any, Protocol

from oatie_ops.config.settings import Settings
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.stats import Totals


class SupervisorView(Protocol):
    """Read-only answers come from memory and never wait; acts are coroutines."""

    @property
    def settings(self) -> Settings: ...

    @property
    def paths(self) -> StatePaths: ...

    def status(self) -> dict[str, Any]:
        """The object of ``GET /control/status``."""
        ...

    def traffic(self) -> Totals | None:
        """What all workers counted, the ended ones included; None for a program, which counts nothing."""
        ...

    async def reload(self, actor: str) -> dict[str, Any]:
        """New workers of the serving release, zero-drop; the ``result`` event of ``POST /control/reload``."""
        ...
