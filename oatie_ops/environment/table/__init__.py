"""All signals, most specific first: within a layer, the first proof that nothing speaks against wins."""

from __future__ import annotations

from oatie_ops.environment.layers import FAMILIES, Signal
from oatie_ops.environment.table import (
    aws,
    azure,
    ci,
    container,
    counters,
    dev,
    gcp,
    kubernetes,
    machine,
    other_clouds,
    paas,
)

TABLE: tuple[Signal, ...] = tuple(
    sorted(
        (
            *paas.SIGNALS,
            *dev.WORKSPACES,
            *ci.SIGNALS,
            *aws.SIGNALS,
            *gcp.SIGNALS,
            *azure.SIGNALS,
            *other_clouds.SIGNALS,
            *kubernetes.SIGNALS,
            *container.SIGNALS,
            *ci.GENERIC,
            *machine.SIGNALS,
            *dev.SIGNALS,
            *counters.HINTS,
            *counters.COUNTERS,
        ),
        key=lambda signal: FAMILIES.index(signal.family),
    )
)


def _countered_by(signal: Signal) -> tuple[Signal, ...]:
    def speaks_against(pattern: str) -> bool:
        return signal.id.startswith(pattern[:-1]) if pattern.endswith("*") else signal.id == pattern

    return tuple(c for c in counters.COUNTERS if any(map(speaks_against, c.against)))


COUNTERS_OF: dict[str, tuple[Signal, ...]] = {
    signal.id: found for signal in TABLE if (found := _countered_by(signal))
}
