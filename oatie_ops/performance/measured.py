"""The newest measurement, as it is handed around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Measured:
    """The newest values by the names of the series; ``at`` in epoch seconds. Never changed once made.

    ``totals`` are the machine's counters since it booted. ``own_cpu_percent``: what the measuring itself
    costs, of one core, on average since it began.
    """

    at: float
    values: Mapping[str, float] = field(default_factory=dict)
    totals: Mapping[str, float] = field(default_factory=dict)
    own_cpu_percent: float | None = None
