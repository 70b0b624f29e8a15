"""The breaker against a model that was written from its description alone: any order of calls, ends, time."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from oatie_ops.error_recovery import CircuitBreaker, CircuitBreakerConfig, CircuitOpenError, Outcome
from oatie_ops.recovery.breaker.gate import Permit

THRESHOLD, SUCCESSES, RECOVERY, TIMEOUT, GROWTH, LONGEST = 3, 2, 8.0, 5.0, 2.0, 30.0


@dataclass
class Model:
    """States are words, an era is a number that every change of state moves on."""

    now: float = 0.0
    state: str = "closed"
    era: int = 0
    failures: int = 0
    until: float = 0.0
    period: float = RECOVERY
    good: int = 0
    probes: dict[int, float] = field(default_factory=dict)  # ticket -> when its place is free again
    tickets: int = 0

    def ask(self) -> tuple[int, int, float] | None:
        """Era, ticket and time of a call that is let in."""
        if self.state == "forced":
            return None
        if self.state == "open" and self.now >= self.until:
            self.change("half")
        if self.state == "open":
            return None
        self.tickets += 1
        if self.state == "half":
            self.probes = {ticket: free for ticket, free in self.probes.items() if free > self.now}
            if len(self.probes) + self.good >= SUCCESSES:
                return None
            self.probes[self.tickets] = self.now + TIMEOUT
        return self.era, self.tickets, self.now

    def end(self, call: tuple[int, int, float], how: str) -> None:
        era, ticket, began = call
        if era != self.era:
            return
        if how == "good" and self.now - began > TIMEOUT:
            how = "bad"
        if self.state == "closed" and how != "neither":
            self.failures = self.failures + 1 if how == "bad" else 0
            if self.failures == THRESHOLD:
                self.period = RECOVERY
                self.open()
        elif self.state == "half":
            if how == "bad":
                self.period = min(self.period * GROWTH, LONGEST)
                self.open()
                return
            self.probes.pop(ticket, None)
            self.good += how == "good"
            if self.good == SUCCESSES:
                self.change("closed")

    def open(self) -> None:
        self.change("open")
        self.until = self.now + self.period

    def change(self, state: str) -> None:
        self.state, self.era = state, self.era + 1
        self.failures = self.good = 0
        self.probes = {}


OUTCOMES = {"good": Outcome.SUCCESS, "bad": Outcome.FAILURE, "neither": Outcome.IGNORED}
SHOWN = {"half": "half_open", "forced": "forced_open"}


class Machine(RuleBasedStateMachine):
    calls: Bundle[tuple[tuple[int, int, float], Permit]] = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        config = CircuitBreakerConfig(
            failure_threshold=THRESHOLD,
            success_threshold=SUCCESSES,
            timeout=TIMEOUT,
            recovery_timeout=RECOVERY,
            recovery_timeout_growth=GROWTH,
            recovery_timeout_max=LONGEST,
            jitter=0.0,
        )
        self.breaker = CircuitBreaker("db", config, clock=lambda: self.model.now)

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        self.model.now += seconds / 2

    @rule(target=calls)
    def begin(self) -> object:
        expected = self.model.ask()
        try:
            permit = self.breaker.admit()
        except CircuitOpenError as error:
            assert expected is None, error
            assert error.retry_after >= 0
            if self.model.state == "open":
                assert error.retry_after == self.model.until - self.model.now
            return _Refused
        assert expected is not None
        return expected, permit

    @rule(call=consumes(calls), how=st.sampled_from(sorted(OUTCOMES)))
    def end(self, call: object, how: str) -> None:
        if call is _Refused:
            return
        expected, permit = call  # type: ignore[misc]
        self.model.end(expected, how)
        self.breaker.settle(permit, OUTCOMES[how])

    @rule(how=st.sampled_from(sorted(OUTCOMES)), times=st.integers(1, 4))
    def whole_calls(self, how: str, times: int) -> None:
        for _ in range(times):
            expected = self.model.ask()
            if expected is not None:
                self.model.end(expected, how)
            try:
                self.breaker.call(_ACTS[how])
            except CircuitOpenError:
                assert expected is None
                continue
            except (ConnectionError, KeyboardInterrupt):
                pass
            assert expected is not None

    @rule()
    def force_open(self) -> None:
        self.model.change("forced")
        self.breaker.force_open()

    @precondition(lambda self: self.model.state == "forced")
    @rule()
    def reset(self) -> None:
        self.model.change("closed")
        self.breaker.reset()

    @invariant()
    def same_state(self) -> None:
        state = self.model.state
        if state == "open" and self.model.now >= self.model.until:
            state = "half"
        assert self.breaker.state == SHOWN.get(state, state)
        if self.model.state == "closed":
            assert self.breaker.failure_count == self.model.failures


class _Refused:
    """Stands for a call that was not let in."""


def _bad() -> None:
    raise ConnectionError


def _neither() -> None:
    raise KeyboardInterrupt


_ACTS = {"good": lambda: None, "bad": _bad, "neither": _neither}

Machine.TestCase.settings = settings(max_examples=100, stateful_step_count=50)
TestModel = Machine.TestCase
