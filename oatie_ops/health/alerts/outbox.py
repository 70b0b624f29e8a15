"""Delivers what is queued, each channel in a thread of its own: a dead receiver delays nobody else.

What the store cannot take (a full disk is worth an alert) waits in memory and is stored once it can be.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from oatie_ops.health.alerts.send import NotDelivered, send
from oatie_ops.health.model import Clock, system_clock
from oatie_ops.store import Store, StoreError
from oatie_ops.store.alerts import Waiting

RETRY_SECONDS, RETRY_MAX_SECONDS = 2.0, 300.0
REFUSED_ATTEMPTS = 5
GIVE_UP_SECONDS = 7 * 86_400.0
BUSY_TIMEOUT_SECONDS = 1.0
KEEP_IN_MEMORY = 100

log = logging.getLogger(__name__)

Send = Callable[[Mapping[str, Any], Mapping[str, Any]], None]
Note = tuple[str, dict[str, Any]]  # channel and body


def retry_seconds(attempts: int) -> float:
    """After so many attempts: 2, 4, 8 … seconds, at most five minutes."""
    return min(RETRY_MAX_SECONDS, RETRY_SECONDS * 2.0 ** min(attempts, 16))


def open_store(database: Path, clock: Clock) -> Store:
    return Store.open(
        database, clock=lambda: clock().epoch_seconds, busy_timeout_seconds=BUSY_TIMEOUT_SECONDS
    )


def is_due(waiting: Waiting, now: float) -> bool:
    """A wait longer than any that we ask for comes from a clock that was set back since."""
    return not 0.0 < waiting.next_at - now <= RETRY_MAX_SECONDS


class Outbox:
    """``alerts``: the ``[alerts.*]`` tables. `counts` are deliveries by (channel, result)."""

    def __init__(
        self,
        alerts: Mapping[str, Mapping[str, Any]],
        database: Path,
        *,
        clock: Clock = system_clock,
        deliver: Send = send,
    ) -> None:
        self._alerts, self._database, self._clock, self._deliver = alerts, database, clock, deliver
        self._senders: dict[str, threading.Thread] = {}
        self._in_memory: dict[str, deque[Waiting]] = {name: deque(maxlen=KEEP_IN_MEMORY) for name in alerts}
        self._sent: set[int] = set()  # delivered, but the store could not be told
        self._stopping = False
        self.counts: Counter[tuple[str, str]] = Counter()
        for name in alerts:
            self.counts.update({(name, "sent"): 0, (name, "failed"): 0})

    def remember(self, notes: Iterable[Note]) -> None:
        now = self._clock().epoch_seconds
        for name, note in notes:
            self._in_memory[name].append(Waiting(0, name, now, note, 0, now))

    def take_back(self) -> list[Note]:
        """What waits in memory, for the store; not what is being sent just now."""
        idle = [name for name in self._in_memory if not self._is_sending(name)]
        return [
            (name, self._in_memory[name].popleft().body) for name in idle for _ in [*self._in_memory[name]]
        ]

    @property
    def has_in_memory(self) -> bool:
        return any(self._in_memory.values())

    def wake(self, channels: Iterable[str]) -> None:
        """Starts sending for these and for what waits in memory, where nobody does already."""
        for name in {*channels, *(name for name, waiting in self._in_memory.items() if waiting)}:
            if name in self._alerts and not self._is_sending(name):
                thread = threading.Thread(target=self._run, args=(name,), name=f"alert {name}", daemon=True)
                self._senders[name] = thread
                thread.start()

    def stop(self) -> None:
        self._stopping = True

    def join(self, timeout_seconds: float) -> None:
        for thread in self._senders.values():
            thread.join(timeout_seconds)

    def _is_sending(self, name: str) -> bool:
        running = self._senders.get(name)
        return running is not None and running.is_alive()

    def _run(self, name: str) -> None:
        try:
            self._send_stored(name)
            while self._in_memory[name] and self._send_from_memory(name):
                pass
        except Exception:
            log.exception("delivering alerts to %s failed; trying on", name)

    def _send_stored(self, name: str) -> None:
        try:
            with open_store(self._database, self._clock) as store:
                while not self._stopping and self._send_next(store, name):
                    pass
        except StoreError as error:
            log.warning("the alerts of %s are not kept up to date: %s", name, error.what)

    def _send_next(self, store: Store, name: str) -> bool:
        """False: nothing (more) to do now."""
        waiting = store.alerts.next(name)
        if waiting is None:
            return False
        if waiting.id in self._sent:
            store.alerts.done(waiting.id)
            self._sent.discard(waiting.id)
            return True
        now = self._clock().epoch_seconds
        if not is_due(waiting, now):
            return False
        failed = self._try(waiting)
        if failed is not None and not self._is_hopeless(waiting, failed, now):
            store.alerts.again(waiting.id, now + retry_seconds(waiting.attempts), str(failed))
            return False
        self._sent.add(waiting.id)
        store.alerts.done(waiting.id)
        self._sent.discard(waiting.id)
        return True

    def _send_from_memory(self, name: str) -> bool:
        first, now = self._in_memory[name][0], self._clock().epoch_seconds
        if not is_due(first, now):
            return False
        failed = self._try(first)
        if failed is None or self._is_hopeless(first, failed, now):
            self._in_memory[name].popleft()
            return True
        later = now + retry_seconds(first.attempts)
        self._in_memory[name][0] = replace(first, attempts=first.attempts + 1, next_at=later)
        return False

    def _try(self, waiting: Waiting) -> NotDelivered | None:
        try:
            self._deliver(self._alerts[waiting.channel], waiting.body)
        except NotDelivered as failed:
            self.counts[waiting.channel, "failed"] += 1
            if waiting.attempts == 0:
                log.warning("an alert was not delivered to %s: %s; trying on", waiting.channel, failed)
            return failed
        self.counts[waiting.channel, "sent"] += 1
        return None

    @staticmethod
    def _is_hopeless(waiting: Waiting, failed: NotDelivered, now: float) -> bool:
        refused = failed.final and waiting.attempts + 1 >= REFUSED_ATTEMPTS
        hopeless = refused or now - waiting.created_at > GIVE_UP_SECONDS
        if hopeless:
            log.error("an alert to %s was given up: %s", waiting.channel, failed)
        return hopeless
