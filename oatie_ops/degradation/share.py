"""Decisions across hosts: what to take from the others and what to tell them. Pure.

A record is the newest known about one key: a decision, or that it ended (kept for a while, so that whoever
was away learns of it). The newest wins; times are those of the server that carries the records, as far as
each host can tell. An operator's decision is one for all hosts; an automatic one belongs to its host.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from oatie_ops.degradation.decision import Decision, Now, decision_from
from oatie_ops.degradation.edit import Ended, Ending
from oatie_ops.degradation.word import Owner

KEEP_ENDED_SECONDS = 7 * 86_400.0
# Ends that are nearer than this are the same: hosts know the server's time only about as well.
SAME_SECONDS = 1.0
# By so much what replaces something is later than that, whatever the clocks say.
LATER_SECONDS = 0.001
# A server's clock that seems to move by less than this has not moved: it was measured worse.
STEADY_SECONDS = 0.25
_SHARED_BY_ALL = (Owner.OPERATOR, Owner.APPLICATION)

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Offset:
    """The server's clock against this host's wall clock and monotonic clock, as measured at one moment."""

    server_seconds: float
    now: Now

    def steadied(self, before: Offset | None) -> Offset:
        """The one before, where this tells nothing else: one host's times then keep their order."""
        if before is None or before.now.boot_id != self.now.boot_id:
            return self
        wall = self.to_server(0.0) - before.to_server(0.0)
        run = self.server_seconds - before.server_now(self.now)
        return before if max(abs(wall), abs(run)) < STEADY_SECONDS else self

    def server_now(self, now: Now) -> float:
        """By the monotonic clock: a stepped wall clock changes nothing."""
        return self.server_seconds + now.monotonic_seconds - self.now.monotonic_seconds

    def to_server(self, epoch_seconds: float) -> float:
        return epoch_seconds + self.server_seconds - self.now.epoch_seconds

    def to_local(self, server_seconds: float) -> float:
        return server_seconds - self.server_seconds + self.now.epoch_seconds


@dataclass(frozen=True)
class Record:
    """``at`` and ``until`` are on the server's clock. ``ended``: how it ended, "" while it is in force."""

    service: str
    owner: str
    cause: str
    level: int
    reason: str
    actor: str
    host: str
    at: float
    until: float | None = None
    ended: str = ""

    @property
    def key(self) -> Key:
        return (self.service, self.owner, self.cause)

    def to_dict(self) -> dict[str, Any]:
        return {"version": 1, **self.__dict__}


@dataclass(frozen=True)
class Merged:
    """``added`` and ``ended`` are for this host, ``told`` and ``forgotten`` for the others.

    ``ends``: of each key, the time of the newest end that this host has carried out after this.
    """

    added: tuple[Decision, ...] = ()
    ended: tuple[Ending, ...] = ()
    told: tuple[Record, ...] = ()
    forgotten: tuple[Key, ...] = ()
    ends: Mapping[Key, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Local:
    """This host: what is in force, what ended lately, and as `Merged.ends` which ends it has carried out."""

    host: str
    active: Iterable[Decision]
    ended: Iterable[Ended]
    ends: Mapping[Key, float] = field(default_factory=dict)


def host_name(home: Path) -> str:
    """This host, and on it this application: two of one name may share a machine."""
    return f"{platform.node() or 'host'}-{hashlib.sha256(str(home).encode()).hexdigest()[:4]}"


def record_from(data: Mapping[str, Any]) -> Record:
    """Raises `TypeError`, `KeyError`, `ValueError` for what is no record."""
    until = data.get("until")
    record = Record(
        **{name: str(data[name]) for name in ("service", "owner", "cause", "reason", "actor", "host")},
        level=int(data["level"]),
        at=float(data["at"]),
        until=None if until is None else float(until),
        ended=str(data.get("ended", "")),
    )
    decision_from({**_plain(record), "started_at": record.at, "origin": ""})  # has the limits of a decision
    return record


def merge(remote: Mapping[Key, Record], local: Local, offset: Offset, now: Now) -> Merged:
    """What follows for this host and for the others. ``remote``: the newest record of each key."""
    host, ends = local.host, dict(local.ends)
    mine = {shared_key(each, host): each for each in local.active if _is_shared(each) and not each.over(now)}
    over = {
        shared_key(each.decision, host): each  # the newest comes last
        for each in sorted(local.ended, key=lambda one: one.at)
        if _is_shared(each.decision)
    }
    added: list[Decision] = []
    endings: list[Ending] = []
    told: list[Record] = []
    for key, record in remote.items():
        held, gone = mine.get(key), over.get(key)
        # What was carried out here and is in force again was decided after that.
        knew = bool(record.ended) and ends.get(key) == record.at
        if record.ended:
            ends[key] = record.at
        last = _last_word(record, held, gone, offset, now, knew=knew)
        if last is _Word.THEIRS:
            added.append(_decision(record, host, offset, now))
        elif last is _Word.THEIR_END and held is not None:
            endings.append(Ending(held, record.ended, record.actor))
        elif last is _Word.OURS and held is not None:
            told.append(_later(_record(held, host, offset, now), record))
        elif last is _Word.OUR_END and gone is not None:
            end = _end_record(gone, record, host, offset)
            ends[key] = end.at
            told.append(end)
    told += [
        _record(held, host, offset, now) for key, held in mine.items() if key not in remote and not held.host
    ]
    old = tuple(key for key, record in remote.items() if _is_old(record, offset.server_now(now)))
    return Merged(tuple(added), tuple(endings), tuple(told), old, ends)


class _Word(Enum):
    """Whose decision about a key is the newest, and whether it is that it ended."""

    AGREED = "agreed"
    THEIRS = "theirs"
    THEIR_END = "their end"
    OURS = "ours"
    OUR_END = "our end"


def _last_word(
    record: Record, held: Decision | None, gone: Ended | None, offset: Offset, now: Now, *, knew: bool
) -> _Word:
    """``held``: in force here; ``gone``: ended here. ``knew``: this end was carried out here before."""
    at = offset.to_local(record.at)
    finished = record.ended or (record.until is not None and record.until <= offset.server_now(now))
    if held is None:
        if finished:
            return _Word.AGREED
        return _Word.OUR_END if gone is not None and _ended_at(gone) > at else _Word.THEIRS
    if _same(record, held, offset, now):
        return _Word.AGREED
    if held.started_at > at or knew:
        return _Word.OURS
    if record.ended:
        return _Word.THEIR_END
    return _Word.OURS if finished else _Word.THEIRS


def _is_old(record: Record, server_now: float) -> bool:
    """Everybody has heard of it, or has been away for longer than anything is kept."""
    is_over = bool(record.ended) or record.until is not None
    return is_over and max(record.at, record.until or 0.0) < server_now - KEEP_ENDED_SECONDS


def shared_key(decision: Decision, host: str) -> Key:
    """The key among all hosts."""
    if decision.rank in _SHARED_BY_ALL or decision.host:
        return decision.key
    return (decision.service, decision.owner, f"{decision.cause}@{host}")


def _is_shared(decision: Decision) -> bool:
    """Overload is each host's own; so is what an operator overruled here."""
    return decision.rank is not Owner.LOAD and not (decision.overruled_by and not decision.host)


def _same(record: Record, held: Decision, offset: Offset, now: Now) -> bool:
    left = held.left_seconds(now)
    remote_left = None if record.until is None else record.until - offset.server_now(now)
    if (left is None) != (remote_left is None):
        return False
    near = left is None or remote_left is None or abs(left - remote_left) < SAME_SECONDS
    return (
        near
        and not record.ended
        and (record.level, record.reason, record.actor)
        == (
            held.level,
            held.reason,
            held.actor,
        )
    )


def _record(held: Decision, host: str, offset: Offset, now: Now) -> Record:
    left = held.left_seconds(now)
    return Record(
        *shared_key(held, host),
        level=held.level,
        reason=held.reason,
        actor=held.actor,
        host=held.host or host,
        at=offset.to_server(held.started_at),
        until=None if left is None else offset.server_now(now) + left,
    )


def _ended_at(gone: Ended) -> float:
    """Never before it began, whose time may come from another host."""
    return max(gone.at, gone.decision.started_at + LATER_SECONDS)


def _later(record: Record, than: Record) -> Record:
    return replace(record, at=max(record.at, than.at + LATER_SECONDS))


def _end_record(gone: Ended, live: Record, host: str, offset: Offset) -> Record:
    made = gone.decision
    record = Record(
        *shared_key(made, host),
        level=made.level,
        reason=made.reason,
        actor=gone.by,
        host=host,
        at=offset.to_server(_ended_at(gone)),
        ended=gone.how,
    )
    return _later(record, live)


def _decision(record: Record, host: str, offset: Offset, now: Now) -> Decision:
    left = None if record.until is None else max(0.0, record.until - offset.server_now(now))
    made = decision_from({**_plain(record), "started_at": offset.to_local(record.at), "origin": ""})
    return replace(
        made,
        origin=f"host {record.host}",
        host="" if record.host == host else record.host,
        until=None if left is None else now.epoch_seconds + left,
        deadline=None if left is None else now.monotonic_seconds + left,
        boot_id=now.boot_id,
    )


def _plain(record: Record) -> dict[str, Any]:
    names = ("service", "owner", "cause", "level", "reason", "actor")
    return {name: getattr(record, name) for name in names}
