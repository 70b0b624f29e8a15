"""What was refused goes to the audit, each attempt for itself, but nobody can fill the disk with it. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

# Of one kind from one address: this many lines, then one a minute with the number of those between, until
# there was none for a minute.
LINES_OF_A_KIND = 20
QUIET_SECONDS = 60.0
# Of all kinds from all addresses: this many at once, then so many an hour (some 300 bytes each).
BURST = 5000
LINES_PER_HOUR = 1000
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
class _Kind:
    """``silent``: attempts that no line tells of yet, the newest of them ``last``."""

    last: Refusal
    lines: int = 0
    silent: int = 0
    told_at: float = 0.0
    seen_at: float = 0.0


@dataclass
class Refusals:
    """``clock`` gives monotonic seconds; ``audit`` takes a refusal and how many like it were passed over."""

    clock: Callable[[], float]
    audit: Callable[[Refusal, int], None]
    _kinds: OrderedDict[tuple[str, int, str], _Kind] = field(default_factory=OrderedDict)
    _left: float = BURST
    _filled: float = 0.0

    def add(self, refusal: Refusal) -> None:
        now, key = self.clock(), (refusal.address, refusal.status, refusal.action)
        kind = self._kinds.pop(key, None) or _Kind(refusal)
        self._kinds[key] = kind
        if now - kind.seen_at >= QUIET_SECONDS:
            kind.lines = 0
        kind.last, kind.seen_at = refusal, now
        due = kind.lines < LINES_OF_A_KIND or now - kind.told_at >= QUIET_SECONDS
        if due and self._take(now):
            self._tell(kind, now)
        else:
            kind.silent += 1
        while len(self._kinds) > MAX_KINDS:
            self._kinds.popitem(last=False)

    def tell_due(self, *, all_of_them: bool = False) -> None:
        """Of those that were passed over: a minute after the last line about them, or now."""
        now = self.clock()
        for kind in self._kinds.values():
            due = kind.silent and (all_of_them or now - kind.told_at >= QUIET_SECONDS)
            if due and (all_of_them or self._take(now)):
                kind.silent -= 1  # the line tells of one itself
                self._tell(kind, now)

    def _tell(self, kind: _Kind, now: float) -> None:
        silent, kind.silent, kind.told_at = kind.silent, 0, now
        kind.lines += 1
        self.audit(kind.last, silent)

    def _take(self, now: float) -> bool:
        self._left = min(BURST, self._left + (now - self._filled) * LINES_PER_HOUR / 3600.0)
        self._filled = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
