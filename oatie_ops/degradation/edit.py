"""What a change does to the decisions in force: values for the store, made by pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oatie_ops.degradation.decision import Decision, Now, decision_from
from oatie_ops.degradation.word import Owner
from oatie_ops.printable import printable
from oatie_ops.records import dataclass

if TYPE_CHECKING:
    from oatie_ops.store.switches import SwitchChange


@dataclass(frozen=True)
class Ending:
    """How a decision ended: ``restored``, ``replaced``, ``expired``, ``recovered``."""

    decision: Decision
    how: str
    by: str


@dataclass(frozen=True)
class Ended:
    """A decision that is over, since ``at`` (epoch seconds)."""

    decision: Decision
    at: float
    how: str
    by: str


@dataclass(frozen=True)
class Edit:
    """``actor``, ``origin``, ``action``, ``detail`` are for the audit; no ``action``, no line in it."""

    added: tuple[Decision, ...] = ()
    ended: tuple[Ending, ...] = ()
    overruled: tuple[Decision, ...] = ()
    actor: str = ""
    origin: str = ""
    action: str = ""
    subject: str = ""
    detail: str = ""

    @property
    def empty(self) -> bool:
        return not (self.added or self.ended or self.overruled)

    @property
    def services(self) -> set[str]:
        """Those that it is about."""
        made = (*self.added, *self.overruled, *(ending.decision for ending in self.ended))
        return {each.service for each in made}

    def apply(self, active: Iterable[Decision]) -> tuple[Decision, ...]:
        """The decisions in force after it."""
        gone = {ending.decision.key for ending in self.ended} | {each.key for each in self.overruled}
        return (*(each for each in active if each.key not in gone), *self.overruled, *self.added)

    def for_store(self) -> SwitchChange:
        from oatie_ops.store.switches import SwitchChange  # sqlite3 is not for every worker

        audit = (self.actor, self.origin, self.action, self.subject, self.detail) if self.action else None
        return SwitchChange(
            ended=[(each.decision.key, each.how, each.by) for each in self.ended],
            overruled=[(each.key, each.overruled_by) for each in self.overruled],
            added=[each.to_dict() for each in self.added],
            audit=audit,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "added": [each.to_dict() for each in self.added],
            "ended": [[each.decision.to_dict(), each.how, each.by] for each in self.ended],
            "overruled": [each.to_dict() for each in self.overruled],
            "audit": [self.actor, self.origin, self.action, self.subject, self.detail],
        }


def edit_from(data: Mapping[str, Any]) -> Edit:
    """The inverse of `Edit.to_dict`. Raises as `decision_from`."""
    return Edit(
        tuple(decision_from(each) for each in data["added"]),
        tuple(Ending(decision_from(each), how, by) for each, how, by in data["ended"]),
        tuple(decision_from(each) for each in data["overruled"]),
        *data["audit"],
    )


def deciding(active: Sequence[Decision], wanted: Decision) -> Edit:
    """Takes the place of the same owner's decision for the same cause.

    What an operator overruled stays so while an automatic owner goes on about it; that nothing but the time
    is new is no news for the audit.
    """
    wanted = replace(wanted, reason=printable(wanted.reason), actor=printable(wanted.actor))
    before = next((each for each in active if each.key == wanted.key), None)
    renewed = False
    if before is not None and wanted.rank is not Owner.OPERATOR:
        renewed = (before.level, before.reason) == (wanted.level, wanted.reason)
        wanted = replace(
            wanted,
            overruled_by=before.overruled_by,
            started_at=before.started_at if renewed else wanted.started_at,
        )
    replaced = () if before is None else (Ending(before, "replaced", wanted.actor),)
    level = "" if wanted.level == 100 else f" (level {wanted.level})"
    return Edit(
        added=(wanted,),
        ended=replaced,
        actor=wanted.actor,
        origin=wanted.origin,
        action="" if renewed else "degrade",
        subject=wanted.service,
        detail=f"{wanted.owner}: {wanted.reason}{level}",
    )


def restoring(active: Sequence[Decision], service: str, actor: str, origin: str, detail: str = "") -> Edit:
    """By an operator: what people and the application decided ends; what is automatic is overruled."""
    own = [each for each in active if each.service == service and each.rank in _RESTORABLE]
    automatic = [
        each
        for each in active
        if each.service == service and each.rank not in _RESTORABLE and not each.overruled_by
    ]
    return Edit(
        ended=tuple(Ending(each, "restored", actor) for each in own),
        overruled=tuple(replace(each, overruled_by=actor) for each in automatic),
        actor=actor,
        origin=origin,
        action="restore",
        subject=service,
        detail=printable(detail),
    )


_RESTORABLE = (Owner.OPERATOR, Owner.APPLICATION)


def withdrawing(active: Sequence[Decision], keys: Iterable[tuple[str, str, str]], how: str, by: str) -> Edit:
    """By the owner of these decisions itself: their cause is over."""
    wanted = set(keys)
    gone = tuple(Ending(each, how, by) for each in active if each.key in wanted)
    names = ", ".join(dict.fromkeys(ending.decision.service for ending in gone))
    return Edit(ended=gone, actor=by, origin="automatic", action="restore", subject=names, detail=how)


def expiring(active: Sequence[Decision], now: Now) -> Edit:
    return Edit(ended=tuple(Ending(each, "expired", "time") for each in active if each.over(now)))
