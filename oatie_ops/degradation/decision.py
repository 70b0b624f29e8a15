"""A decision about a service, and which of several counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from oatie_ops.degradation.word import Owner
from oatie_ops.records import dataclass

DEFAULT_SECONDS = 3600.0
FULL = 100


@dataclass(frozen=True)
class Now:
    """One moment on both clocks of this boot of the host."""

    monotonic_seconds: float
    epoch_seconds: float
    boot_id: str


@dataclass(frozen=True)
class Decision:
    """``level``: percent of requests that are degraded; 0 keeps the service as it is, whatever others want.

    ``cause`` tells apart several reasons of one automatic owner ("database", "breaker:database").
    ``until`` is epoch time for people and for another boot; within the boot ``boot_id`` the deadline on the
    monotonic clock counts. ``overruled_by``: an operator restored the service although the cause lasts on.
    ``host``: where it was made, if not here. ``id`` 0: the store does not have it yet.
    """

    service: str
    owner: str
    level: int
    reason: str
    actor: str
    origin: str
    started_at: float
    until: float | None = None
    deadline: float | None = None
    boot_id: str = ""
    cause: str = ""
    overruled_by: str = ""
    host: str = ""
    id: int = 0

    @property
    def rank(self) -> Owner:
        return Owner[self.owner.upper()]

    @property
    def public_reason(self) -> str:
        """For whoever uses the application: what people said, or which service fails. Not what its check
        found, which names addresses and internals."""
        return self.reason.partition(": ")[0] if self.rank is Owner.BREAKER else self.reason

    @property
    def key(self) -> tuple[str, str, str]:
        """One decision per key is in force; a newer one takes its place."""
        return (self.service, self.owner, self.cause)

    def left_seconds(self, now: Now) -> float | None:
        """None: it does not end by itself; 0: it is over."""
        if self.deadline is not None and self.boot_id == now.boot_id:
            return max(0.0, self.deadline - now.monotonic_seconds)
        return None if self.until is None else max(0.0, self.until - now.epoch_seconds)

    def over(self, now: Now) -> bool:
        return self.left_seconds(now) == 0.0

    def in_this_boot(self, now: Now) -> Decision:
        """With a deadline on the clock of this boot."""
        left = self.left_seconds(now)
        deadline = None if left is None else now.monotonic_seconds + left
        if self.boot_id == now.boot_id:
            return self
        return replace(self, deadline=deadline, boot_id=now.boot_id)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def decision_from(data: Mapping[str, Any]) -> Decision:
    """Raises `TypeError`, `KeyError`, `ValueError` for what `to_dict` cannot have written."""
    known = {field.name for field in fields(Decision)}
    made = Decision(**{key: value for key, value in data.items() if key in known})
    if made.owner.upper() not in Owner.__members__ or not 0 <= made.level <= FULL:
        raise ValueError(f"not a decision: {made.owner} {made.level}")
    return made


def effective(decisions: Iterable[Decision], now: Now) -> dict[str, Decision]:
    """By service, the one that counts: the strongest owner; of equals the highest level, then the longest."""
    chosen: dict[str, Decision] = {}
    for decision in decisions:
        if decision.over(now) or decision.overruled_by:
            continue
        other = chosen.get(decision.service)
        if other is None or _strength(decision, now) > _strength(other, now):
            chosen[decision.service] = decision
    return chosen


def _strength(decision: Decision, now: Now) -> tuple[int, int, float]:
    left = decision.left_seconds(now)
    return (decision.rank, decision.level, float("inf") if left is None else left)
