"""Half-open: a bounded number of leased probes finds out whether the service works again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from oatie_ops.recovery.breaker.config import CircuitBreakerConfig, Outcome
from oatie_ops.recovery.breaker.opened import next_generation, trip
from oatie_ops.recovery.breaker.state import Circuit, Lease, State

MAX_LEASES = 16


def begin(circuit: Circuit) -> Circuit:
    """The open period is over."""
    return replace(
        circuit, state=State.HALF_OPEN, generation=next_generation(circuit), successes=0, leases=()
    )


def admit(circuit: Circuit, config: CircuitBreakerConfig, now: float) -> tuple[Circuit, int, float]:
    """The circuit with one more lease, its token (0: no place is free) and the seconds until one may be."""
    # A lease that ends later than any of ours can was written before a reboot.
    valid = tuple(lease for lease in circuit.leases if now < lease.until <= now + config.lease)
    still_needed = max(1, config.success_threshold - circuit.successes)
    places = min(still_needed, config.max_probes or still_needed, MAX_LEASES)
    if len(valid) >= places:
        return replace(circuit, leases=valid), 0, min(lease.until for lease in valid) - now
    token = circuit.tokens + 1
    lease = Lease(token, now + config.lease)
    return replace(circuit, tokens=token, leases=(*valid, lease)), token, 0.0


def settle(  # noqa: PLR0917
    circuit: Circuit,
    token: int,
    outcome: Outcome,
    config: CircuitBreakerConfig,
    now: float,
    random: Callable[[], float],
) -> Circuit:
    """Of a probe of this generation. One whose lease is over is heard as well: it did ask the service."""
    if outcome is Outcome.FAILURE:
        return trip(circuit, config, now, random)
    left = tuple(lease for lease in circuit.leases if lease.token != token)
    if outcome is Outcome.IGNORED:
        return replace(circuit, leases=left)
    successes = circuit.successes + 1
    if successes >= config.success_threshold:
        return close(circuit)
    return replace(circuit, successes=successes, leases=left)


def close(circuit: Circuit) -> Circuit:
    """Closed, with nothing remembered but the numbers that must not repeat."""
    return Circuit(
        generation=next_generation(circuit),
        tokens=circuit.tokens,
        mode=circuit.mode,
        mode_until=circuit.mode_until,
    )
