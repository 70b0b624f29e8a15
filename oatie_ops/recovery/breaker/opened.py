"""Open: rejects everything until its time is over. Periods grow while probes keep failing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from oatie_ops.recovery.breaker.config import CircuitBreakerConfig
from oatie_ops.recovery.breaker.state import GENERATIONS, Circuit, State


def period(config: CircuitBreakerConfig, reopens: int, random: Callable[[], float]) -> float:
    """Seconds. The first is exactly ``recovery_timeout``; ``random`` is uniform in 0 to 1."""
    if reopens == 0:
        return config.recovery_timeout
    try:
        grown = config.recovery_timeout * config.recovery_timeout_growth**reopens
    except OverflowError:  # the minimum would have cut it anyway
        grown = config.longest_open
    jittered = min(grown, config.longest_open) * (1 + config.jitter * (2 * random() - 1))
    return min(jittered, config.longest_open)


def trip(circuit: Circuit, config: CircuitBreakerConfig, now: float, random: Callable[[], float]) -> Circuit:
    """From closed for the first time, from half-open (or open, by hand) for a longer one."""
    reopens = 0 if circuit.state is State.CLOSED else circuit.reopens + 1
    return replace(
        circuit,
        state=State.OPEN,
        generation=next_generation(circuit),
        open_until=now + period(config, reopens, random),
        reopens=reopens,
        successes=0,
        leases=(),
    )


def remaining(circuit: Circuit, config: CircuitBreakerConfig, now: float) -> float:
    """Seconds until a probe may pass; a time that no period of ours can reach was written before a reboot."""
    left = circuit.open_until - now
    return left if left <= config.longest_open else 0.0


def next_generation(circuit: Circuit) -> int:
    return circuit.generation % (GENERATIONS - 1) + 1
