"""Builders for the rows of the table; the rows themselves are in `oatie_ops.environment.table`."""

from __future__ import annotations

from oatie_ops.environment.conditions import Condition
from oatie_ops.environment.facts import Facts
from oatie_ops.environment.layers import Getter, Signal, Weight


def _family(id: str) -> str:
    return id.partition(".")[0]


def proof(
    id: str,
    when: Condition,
    *,
    identity: tuple[tuple[str, Getter], ...] = (),
    pull_request: Condition | None = None,
    family: str | None = None,
    **claims: str,
) -> Signal:
    return Signal(
        id,
        family or _family(id),
        Weight.PROOF,
        when,
        tuple(claims.items()),
        identity,
        pull_request,
    )


def support(id: str, when: Condition, *, family: str | None = None, **claims: str) -> Signal:
    return Signal(id, family or _family(id), Weight.SUPPORT, when, tuple(claims.items()))


def hint(provider: str, name: str, when: Condition) -> Signal:
    return Signal(f"hint.{provider}.{name}", "hint", Weight.HINT, when, (("provider", provider),))


def counter(id: str, when: Condition, *against: str) -> Signal:
    return Signal(f"counter.{id}", "counter", Weight.COUNTER, when, against=against)


def from_env(*names: str) -> Getter:
    """The first of these variables that is set."""

    def get(facts: Facts) -> str:
        return next((value for value in map(facts.env, names) if value), "")

    return get


def from_dmi(field: str) -> Getter:
    return lambda facts: facts.dmi(field)


def from_metadata(provider: str, key: str) -> Getter:
    return lambda facts: facts.metadata.get(provider, {}).get(key, "")
