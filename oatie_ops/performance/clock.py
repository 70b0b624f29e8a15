"""Which second of wall time it is, and whether the clock can be trusted to delete by."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

# A clock that was moved by more than this was set, not corrected.
STEP_SECONDS = 2.0
# After that it must run so long before old measurements are deleted by it.
TRUST_SECONDS = 3600.0

Clock = Callable[[], float]


@dataclass
class SteadyClock:
    """Compares wall and monotonic time. A step forward leaves a gap, one back writes over what was there."""

    wall: Clock = time.time
    monotonic: Clock = time.monotonic
    steps: int = 0
    _offset: float = field(init=False)
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.monotonic()
        self._offset = self.wall() - self._since

    def now(self) -> float:
        """Epoch seconds."""
        monotonic, wall = self.monotonic(), self.wall()
        if abs(wall - monotonic - self._offset) > STEP_SECONDS:
            self.steps += 1
            self._since = monotonic
        self._offset = wall - monotonic
        return wall

    @property
    def trusted(self) -> bool:
        return self.monotonic() - self._since >= TRUST_SECONDS
