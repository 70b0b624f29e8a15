"""An example of each shape, for the description of the API: loaded by who makes it, not by who serves."""

from __future__ import annotations

from oatie_ops.api.examples import errors, health, performance, recovery, scaling
from oatie_ops.api.models import Examples

EXAMPLES: Examples = {
    **health.EXAMPLES,
    **errors.EXAMPLES,
    **performance.EXAMPLES,
    **recovery.EXAMPLES,
    **scaling.EXAMPLES,
}
