"""What was refused goes to the audit, but nobody must be able to fill the disk with it. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

# Of one kind from one address: one line at once, then one a minute with the number of those between.
QUIET_SECONDS = 60.0
# Of all kinds from all addresses: this many at once, then as many an hour.
BURST = 200
MAX_KINDS = 2048


@dataclass(frozen=True)
class Refusal:
    """``action``: method and path; ``status``: of the answer."""

    address: str
    actor: str
    action: str
    status: int
    why: str


@dataclass
class Refusals:
    """``clock`` gives monotonic seconds; ``audit`` takes a refusal and how many like it were passed over."""

    clock: Callable[[], float]
    audit: Callable[[Refusal, int], None]
    _told: OrderedDict[tuple[str, int, str], tuple[float, int]] = field(default_factory=OrderedDict)
    _left: float = BURST
    _filled: float = 0.0

    def add(self, refusal: Refusal) -> None:
        now, kind = self.clock(), (refusal.address, refusal.status, refusal.action)
        told_at, silent = self._told.pop(kind, (None, 0))
        if (told_at is not None and now - told_at < QUIET_SECONDS) or not self._take(now):
            self._told[kind] = (now if told_at is None else told_at, silent + 1)
        else:
            self._told[kind] = (now, 0)
            self.audit(refusal, silent)
        while len(self._told) > MAX_KINDS:
            self._told.popitem(last=False)

    def _take(self, now: float) -> bool:
        self._left = min(BURST, self._left + (now - self._filled) * BURST / 3600.0)
        self._filled = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
