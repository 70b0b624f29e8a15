"""A check whose driver is not installed: unknown until it is, and then at work without a restart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import invalidate_caches
from importlib.util import find_spec

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, DriverMissing, Tools
from oatie_ops.health.model import CheckSpec, Result, Status


@dataclass
class Awaiting:
    """``make`` makes the check, or another of these where the driver is still missing."""

    spec: CheckSpec
    tools: Tools
    missing: DriverMissing
    make: Callable[[], Check]
    _check: Check | None = field(default=None, init=False)

    async def run(self, attempt: Attempt) -> Result:
        if self._check is None:
            attempt.waiting_for = f"looking for the driver {self.missing.module}"
            # In a thread: a driver takes its time to import.
            self._check = await self.tools.threads.call((*self.spec.key, "driver"), self._look, attempt)
        if self._check is None:
            return Result(Status.UNKNOWN, str(self.missing))
        return await self._check.run(attempt)

    def _look(self) -> Check | None:
        invalidate_caches()
        if find_spec(self.missing.module) is None:
            return None
        made = self.make()
        return None if isinstance(made, Awaiting) else made  # it may be there, and not what it needs itself
