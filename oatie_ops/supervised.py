"""What the ops API and the check loop may ask of a running supervisor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from oatie_ops.config.settings import Settings
from oatie_ops.identity import ProcessIdentity
from oatie_ops.paths import StatePaths
from oatie_ops.performance.measured import Measured
from oatie_ops.traffic.totals import Totals


class SupervisorView(Protocol):
    """Read-only answers come from memory and never wait; acts are coroutines."""

    @property
    def settings(self) -> Settings: ...

    @property
    def paths(self) -> StatePaths: ...

    def status(self) -> dict[str, Any]:
        """The object of ``GET /control/status``."""
        ...

    def measured(self) -> Measured | None:
        """What the sampler measured last; None before its first look."""
        ...

    def traffic(self) -> Totals | None:
        """What all workers counted, the ended ones included; None for a program, which counts nothing."""
        ...

    async def restart_hard(self, actor: str) -> int:
        """Ends all workers and waits until as many new ones serve; how many. Cancelled at a deadline."""
        ...

    def keep(self, processes: Iterable[ProcessIdentity]) -> None:
        """These came to us as orphans and must outlive us."""
        ...

    def look_at_switches(self) -> dict[int, int]:
        """Makes every serving worker look at the switches; by pid, its place among their readers."""
        ...

    async def scale(
        self, workers: int | None, actor: str, emit: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """Another number of workers (None: as declared), zero-drop; the ``result`` event.

        Raises `OatieError` where it is refused at once.
        """
        ...

    async def reload(self, actor: str) -> dict[str, Any]:
        """New workers of the serving release, zero-drop; the ``result`` event of ``POST /control/reload``."""
        ...
