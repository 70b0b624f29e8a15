"""Decisions across hosts: what to take from the others and what to tell them. Pure.

A record is the newest known about one key: a decision, or that it ended (kept for a while, so that whoever
was away learns of it). The newest wins; times are those of the server that carries the records, as far as
each host can tell. An operator's decision is one for all hosts; an automatic one belongs to its host.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oatie_ops.degradation.decision import Decision, Now, decision_from
from oatie_ops.degradation.edit import Ended, Ending
from oatie_ops.degradation.word import Owner

KEEP_ENDED_SECONDS = 7 * 86_400.0
# Two hosts convert the same time through their own offsets; what is nearer than this is the same.
SAME_SECONDS = 0.5
_SHARED_BY_ALL = (Owner.OPERATOR, Owner.APPLICATION)

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Offset:
    """The server's clock against this host's wall clock and monotonic clock, as measured at one moment."""

    server_seconds: float
    now: Now

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
    """``added`` and ``ended`` are for this host, ``told`` and ``forgotten`` for the others."""

    added: tuple[Decision, ...] = ()
    ended: tuple[Ending, ...] = ()
    told: tuple[Record, ...] = ()
    forgotten: tuple[Key, ...] = ()


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


def merge(  # noqa: PLR0917
    remote: Mapping[Key, Record],
    active: Iterable[Decision],
    ended: Iterable[Ended],
    host: str,
    offset: Offset,
    now: Now,
) -> Merged:
    """``ended``: what ended here lately."""
    mine = {shared_key(each, host): each for each in active if _is_shared(each) and not each.over(now)}
    over: dict[Key, Ended] = {}
    for each in sorted(ended, key=lambda one: one.at):
        if _is_shared(each.decision):
            over[shared_key(each.decision, host)] = each
    added: list[Decision] = []
    endings: list[Ending] = []
    told: list[Record] = []
    server_now = offset.server_now(now)
    for key, record in remote.items():
        held, gone = mine.get(key), over.get(key)
        at = offset.to_local(record.at)
        finished = record.ended or (record.until is not None and record.until <= server_now)
        if finished:
            if held is not None and at > held.started_at - SAME_SECONDS and record.ended:
                endings.append(Ending(held, record.ended, record.actor))
            elif held is not None and not _same(record, held, offset, now):
                told.append(_record(held, host, offset, now))
        elif held is None:
            if gone is not None and gone.at > at - SAME_SECONDS:
                told.append(_end_record(gone, host, offset))
            else:
                added.append(_decision(record, host, offset, now))
        elif _same(record, held, offset, now):
            continue
        elif at > held.started_at:
            added.append(_decision(record, host, offset, now))
        else:
            told.append(_record(held, host, offset, now))
    told += [
        _record(held, host, offset, now) for key, held in mine.items() if key not in remote and not held.host
    ]
    old = [
        key
        for key, record in remote.items()
        if (record.ended or record.until is not None)
        and max(record.at, record.until or 0.0) < server_now - KEEP_ENDED_SECONDS
    ]
    return Merged(tuple(added), tuple(endings), tuple(told), tuple(old))


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
    near = left is None or remote_left is None or abs(left - remote_left) < 2 * SAME_SECONDS
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


def _end_record(gone: Ended, host: str, offset: Offset) -> Record:
    made = gone.decision
    return Record(
        *shared_key(made, host),
        level=made.level,
        reason=made.reason,
        actor=gone.by,
        host=host,
        at=offset.to_server(gone.at),
        ended=gone.how,
    )


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
