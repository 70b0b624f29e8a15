"""The table ``[history]`` of oatie.toml."""

from __future__ import annotations

from pydantic import Field

from oatie_ops.config import defaults
from oatie_ops.config.fields import PositiveDuration, Size
from oatie_ops.config.schema_table import Table


class History(Table):
    """What is measured once a second (machine, container, workers, load), and how long it is kept."""

    measure: bool = True
    """Whether the supervisor measures at all."""
    fine: PositiveDuration = defaults.HISTORY_FINE_SECONDS
    """How long every second is kept."""
    medium: PositiveDuration = defaults.HISTORY_MEDIUM_SECONDS
    """How long every minute is kept."""
    coarse: PositiveDuration = defaults.HISTORY_COARSE_SECONDS
    """How long every hour is kept."""
    max_size: Size = Field(default=defaults.HISTORY_MAX_BYTES, ge=1_000_000)
    """The most that all of it takes on the disk."""
