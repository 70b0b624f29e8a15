"""The stand-in for a supervisor that the tests of health and of the ops API share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from oatie_ops.config.settings import AppSettings, ServiceSettings, Settings
from oatie_ops.identity import ProcessIdentity
from oatie_ops.paths import StatePaths
from oatie_ops.performance.measured import Measured
from oatie_ops.traffic.totals import Totals


class View:
    """What the ops services may ask of a supervisor (`SupervisorView`), without workers.

    ``reloads``: who asked for one.
    """

    ready = "/ready"

    def __init__(self, root: Path, app_port: int, **checks: dict[str, Any]) -> None:
        services = {name: ServiceSettings(name, check=check) for name, check in checks.items()}
        self.settings = Settings(
            root=root, app=AppSettings(port=app_port, ready=self.ready), services=services
        )
        self.paths = StatePaths(root / ".oatie")
        self.paths.ensure()
        self.reloads: list[str] = []

    def status(self) -> dict[str, Any]:
        return {"state": "running", "release": "7", "workers": [{"id": 1, "state": "serving"}]}

    def look_at_switches(self) -> dict[int, int]:
        return {}

    async def scale(
        self, workers: int | None, actor: str, emit: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        return {"event": "result", "status": "scaled", "workers": workers}

    def measured(self) -> Measured | None:
        return None

    def traffic(self) -> Totals | None:
        return None

    def keep(self, processes: Iterable[ProcessIdentity]) -> None:
        """No command of a ladder runs in these tests."""

    async def restart_hard(self, actor: str) -> int:
        return 0

    async def reload(self, actor: str) -> dict[str, Any]:
        self.reloads.append(actor)
        return {"event": "result", "status": "reloaded"}
