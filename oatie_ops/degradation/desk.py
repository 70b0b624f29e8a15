"""Where decisions are made: the store remembers, the file tells. From any process; its methods block.

A store that is locked, full or gone keeps nobody from deciding: the file is written all the same, and what
is missing in the store waits in the bulletin for the next writer that finds it open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oatie_ops.degradation import bulletin as bulletins
from oatie_ops.degradation.breakers import follow
from oatie_ops.degradation.bulletin import Bulletin
from oatie_ops.degradation.decision import Decision, Now, decision_from, effective
from oatie_ops.degradation.edit import Edit, Ended, deciding, expiring, restoring, withdrawing
from oatie_ops.degradation.page import Page, SwitchesUnusable, locked
from oatie_ops.degradation.word import Owner, Word, pack, unpack
from oatie_ops.identity import boot_id
from oatie_ops.paths import StatePaths
from oatie_ops.store.errors import StoreError
from oatie_ops.store.store import Store

BUSY_TIMEOUT_SECONDS = 1.0
PAST = 200
# Marks a rule that came from an application, and not from oatie.toml.
REGISTERED = "registered"

Plan = Callable[[Sequence[Decision], Now], Edit]


@dataclass(frozen=True)
class Published:
    """What is in force now. ``changes``: what readers acknowledge; ``edit``: what was done about it.

    ``problem``: why the store does not know it yet.
    """

    bulletin: Bulletin
    changes: int
    edit: Edit
    changed: bool
    at: float  # monotonic, when the words were written


def host_clock() -> Now:
    return Now(time.monotonic(), time.time(), boot_id())


class Desk:
    """``database`` may be missing: then there is nothing to remember."""

    def __init__(self, paths: StatePaths, *, clock: Callable[[], Now] = host_clock) -> None:
        self._paths = paths
        self._clock = clock
        self._bulletin_path = bulletins.path_of(paths.switches)
        # More than one where the file was removed: processes that mapped the first still read it.
        self._pages: list[Page] = []
        self._rules: Mapping[str, Mapping[str, Any]] = {}

    @property
    def page(self) -> Page:
        """Of the file that is in place now. Raises `SwitchesUnusable`."""
        if not self._pages or not self._pages[-1].in_place:
            self._pages.append(Page.open(self._paths.switches))
        return self._pages[-1]

    def obeys(self, place: int, pid: int) -> bool:
        """Whether the process at this place has acted on everything that was published."""
        told = ((page, *page.reader(place)) for page in self._pages)
        return any(found == pid and seen >= page.changes for page, found, seen in told)

    @property
    def path(self) -> Path:
        return self._paths.switches

    def now(self) -> Now:
        return self._clock()

    def read(self) -> Bulletin:
        """What was published last, without the store and without the lock."""
        told = bulletins.read(self._bulletin_path)
        if told.rules:
            self._rules = told.rules
        return told if told.rules else told.with_(rules=self._rules)

    def decide(self, wanted: Decision) -> Published:
        return self.change(lambda active, now: deciding(active, wanted.in_this_boot(now)))

    def restore(self, service: str, actor: str, origin: str, detail: str = "") -> Published:
        """An operator's word: everything about ``service`` that is in force ends or is overruled."""
        return self.change(lambda active, _now: restoring(active, service, actor, origin, detail))

    def withdraw(self, keys: Sequence[tuple[str, str, str]], how: str, by: str) -> Published:
        return self.change(lambda active, _now: withdrawing(active, keys, how, by))

    def refresh(self) -> Published:
        """Reads the store again, ends what is over, and publishes."""
        return self.change(lambda _active, _now: Edit())

    def register(self, service: str, source: Mapping[str, Any]) -> None:
        """An application tells of a service that oatie.toml does not declare, so that it can be degraded."""
        with locked(self.path):
            told = self.read()
            known = told.rules.get(service)
            source = {**source, REGISTERED: True}
            if known is not None and (not known.get(REGISTERED) or known == source):
                return
            bulletins.write(self._bulletin_path, told.with_(rules={**told.rules, service: source}))
            self._beat(lambda page: page.number_of(service))

    def past(self) -> list[Ended]:
        """What ended lately, oldest first; nothing where the store cannot tell."""
        if not self._paths.database.exists():
            return []
        try:
            with Store.open(self._paths.database, busy_timeout_seconds=BUSY_TIMEOUT_SECONDS) as store:
                rows = store.switches.past(PAST)
        except StoreError:
            return []
        return [
            Ended(decision_from(row), row["ended_at"], row["how"], row["ended_by"])
            for row in reversed(rows)
            if row["how"] != "replaced"
        ]

    def mark_stale(self, why: str) -> None:
        """``why`` other hosts are not heard of; "" when they are again."""
        with locked(self.path):
            told = self.read()
            if told.stale != why:
                bulletins.write(self._bulletin_path, told.with_(stale=why))
                self._beat(lambda page: page.mark_stale(bool(why)))

    def change(self, plan: Plan) -> Published:
        """``plan`` sees what is in force. Raises `SwitchesUnusable` where the file cannot be written."""
        with locked(self.path):
            now, told = self._clock(), self.read()
            pending: tuple[Edit, ...] = ()
            problem = ""
            try:
                decisions, edit = self._through_store(plan, told, now)
            except (StoreError, OSError) as error:
                active = tuple(each.in_this_boot(now) for each in told.decisions)
                active = expiring(active, now).apply(active)
                edit = plan(active, now)
                decisions = edit.apply(active)
                pending = told.pending if edit.empty else (*told.pending, edit)
                problem = f"{error.what}: {error.why}" if isinstance(error, StoreError) else str(error)
            told = told.with_(decisions=tuple(decisions), pending=pending, problem=problem)
            published = self._publish(told, edit, now)
        # Not under the lock: the locks of breakers are held by the application's processes.
        follow(self._paths, edit.services, effective(told.decisions, now), now)
        return published

    def _through_store(self, plan: Plan, told: Bulletin, now: Now) -> tuple[tuple[Decision, ...], Edit]:
        with Store.open(self._paths.database, busy_timeout_seconds=BUSY_TIMEOUT_SECONDS) as store:
            for edit in told.pending:
                store.switches.apply(edit.for_store())
            active = _in_force(store, now)
            over = expiring(active, now)
            if not over.empty:
                store.switches.apply(over.for_store())
                active = over.apply(active)
            edit = plan(active, now)
            if not edit.empty:
                store.switches.apply(edit.for_store())
            # Read back: what was added has its number now.
            return _in_force(store, now), edit

    def _publish(self, told: Bulletin, edit: Edit, now: Now) -> Published:
        if told != bulletins.read(self._bulletin_path):
            try:
                bulletins.write(self._bulletin_path, told)
            except OSError as error:
                raise SwitchesUnusable(
                    f"{self._bulletin_path} cannot be written",
                    why=error.strerror or str(error),
                    fix=f"free some space, or make {self._bulletin_path.parent} writable",
                ) from error
        counting = effective(told.decisions, now)
        changed = [page for page in self._all_pages() if _write(page, counting)]
        at = time.monotonic()
        for page in changed:
            page.beat()
        return Published(told, self.page.changes, edit, bool(changed), at)

    def _all_pages(self) -> list[Page]:
        newest = self.page
        return [*self._pages[:-1], newest]

    def _beat(self, work: Callable[[Page], object]) -> None:
        for page in self._all_pages():
            work(page)
            page.beat()


def _write(page: Page, counting: Mapping[str, Decision]) -> bool:
    """True where a word had to be changed."""
    if not page.of_this_boot:
        page.forget_boot()
    changed = False
    for service in dict.fromkeys([*page.names(), *counting]):
        changed |= _set(page, service, counting.get(service))
    return changed


def _set(page: Page, service: str, decision: Decision | None) -> bool:
    """True where the word had to be changed."""
    number = page.number_of(service)
    before = unpack(page.word(number))
    level, owner = (decision.level, decision.rank) if decision else (0, Owner.NOBODY)
    deadline = decision.deadline if decision else None
    after = Word(
        level, owner, before.generation, unpack(pack(Word(deadline_seconds=deadline))).deadline_seconds
    )
    if after == before:
        return False
    page.set_word(number, pack(Word(level, owner, before.generation + 1, deadline)))
    return True


def _in_force(store: Store, now: Now) -> tuple[Decision, ...]:
    return tuple(decision_from(row).in_this_boot(now) for row in store.switches.active())
