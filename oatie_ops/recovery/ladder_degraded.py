"""What a ladder has degraded for as long as a service fails, and gives back when it is well again."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from oatie_ops.recovery.rungs.base import Degrade, Restore

log = logging.getLogger(__name__)


class Degraded:
    """Both None: nobody can degrade anything, so there is nothing to give back."""

    def __init__(self, degrade: Degrade | None, restore: Restore | None) -> None:
        self._degrade, self._restore = degrade, restore
        self._by_service: dict[str, set[str]] = {}

    def add(self, service: str, degraded: Iterable[str]) -> None:
        if found := set(degraded):
            self._by_service.setdefault(service, set()).update(found)

    def of(self, service: str) -> list[str]:
        return sorted(self._by_service.get(service, ()))

    async def again(self, service: str, why: str) -> None:
        """What a supervisor before this one had degraded is held on to."""
        for name in self.of(service):
            if self._degrade is None:
                continue
            try:
                await self._degrade(name, service, why)
            except Exception:
                log.exception("degrading %s again because of %s failed", name, service)

    async def give_back(self, service: str) -> bool:
        """True where there was something."""
        names = self.of(service)
        self._by_service.pop(service, None)
        for name in names:
            if self._restore is None:
                continue
            try:
                await self._restore(name, service)
            except Exception:
                # It ends by itself; a recovery that succeeded must not look failed because of it.
                log.exception("restoring %s after %s failed", name, service)
        return bool(names)
