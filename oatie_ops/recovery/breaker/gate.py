"""Whether a call may pass, given the circuit: pure, for every state and every mode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from oatie_ops.recovery.breaker import half_open, opened
from oatie_ops.recovery.breaker.config import CircuitBreakerConfig
from oatie_ops.recovery.breaker.state import NORMAL, Circuit, State

# Tokens of a permit; a probe's is 1 or more.
COUNTED, UNCOUNTED = 0, -1


class Permit(NamedTuple):
    """``word``: the circuit's when the call was let in, the fence for its result; ``began``: seconds."""

    word: int
    token: int
    began: float

    def restarted(self, now: float) -> Permit:
        """For a stream, which may last: its deadline is not that of the whole."""
        return self._replace(began=now)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``refused`` names the state that lets nobody through; then ``retry_after`` are seconds."""

    circuit: Circuit
    token: int = COUNTED
    refused: State | None = None
    retry_after: float = 0.0


def admit(circuit: Circuit, config: CircuitBreakerConfig, now: float) -> Verdict:
    if circuit.mode is not NORMAL:
        if not circuit.mode_until or now < circuit.mode_until:
            return _by_mode(circuit, config, now)
        circuit = replace(half_open.close(circuit), mode=NORMAL, mode_until=0.0)
    if circuit.state is State.CLOSED:
        return Verdict(circuit)
    if circuit.state is State.OPEN:
        left = opened.remaining(circuit, config, now)
        if left > 0:
            return Verdict(circuit, refused=State.OPEN, retry_after=left)
        circuit = half_open.begin(circuit)
    circuit, token, wait = half_open.admit(circuit, config, now)
    if not token:
        return Verdict(circuit, refused=State.HALF_OPEN, retry_after=max(0.0, wait))
    return Verdict(circuit, token)


def _by_mode(circuit: Circuit, config: CircuitBreakerConfig, now: float) -> Verdict:
    if circuit.mode is State.FORCED_OPEN:
        left = circuit.mode_until - now if circuit.mode_until else config.recovery_timeout
        return Verdict(circuit, refused=State.FORCED_OPEN, retry_after=left)
    return Verdict(circuit, COUNTED if circuit.mode is State.METRICS_ONLY else UNCOUNTED)


def shown(circuit: Circuit, config: CircuitBreakerConfig, now: float) -> State:
    """The state that the next call would meet."""
    if circuit.mode is not NORMAL and (not circuit.mode_until or now < circuit.mode_until):
        return circuit.mode
    if circuit.mode is not NORMAL:
        return State.CLOSED
    if circuit.state is State.OPEN and opened.remaining(circuit, config, now) <= 0:
        return State.HALF_OPEN
    return circuit.state
