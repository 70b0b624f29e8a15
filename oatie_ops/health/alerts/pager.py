"""Runs the alerts of a supervisor: decides once a second, in a thread of its own.

A notification is in the store before it is sent, so a crash loses none; it may be delivered twice then,
with the same id.
"""

from __future__ import annotations

import logging
import socket
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from oatie_ops.health.alerts import messages
from oatie_ops.health.alerts.outbox import Note, Outbox, Send, open_store
from oatie_ops.health.alerts.policy import ALERTMANAGER_REPEAT_SECONDS, Channel, Open, decide, insist, see
from oatie_ops.health.alerts.send import send
from oatie_ops.health.model import Clock, Snapshot, system_clock
from oatie_ops.store import Store, StoreError
from oatie_ops.store.alerts import OpenAlert

TICK_SECONDS = 1.0
KEEP_PAGES = 100

log = logging.getLogger(__name__)


class Pager:
    """``alerts``: the ``[alerts.*]`` tables. ``source``: app and url, for the messages."""

    def __init__(
        self,
        alerts: Mapping[str, Mapping[str, Any]],
        database: Path,
        snapshot: Callable[[], Snapshot],
        source: Callable[[], Mapping[str, str]],
        *,
        clock: Clock = system_clock,
        deliver: Send = send,
    ) -> None:
        self._database, self._snapshot, self._source, self._clock = database, snapshot, source, clock
        self._channels = [_channel(name, alert) for name, alert in alerts.items()]
        self.outbox = Outbox(alerts, database, clock=clock, deliver=deliver)
        self._opened: list[Open] | None = None
        self._unsaved = False
        self._store: Store | None = None
        self._stopping = threading.Event()
        self._pages: deque[tuple[frozenset[str], str, str]] = deque(maxlen=KEEP_PAGES)

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        return self.outbox.counts

    def page(self, channels: Iterable[str], service: str, output: str) -> None:
        """Tells them now that a service fails, whatever holds the usual alert back; that it is over is told
        as always. From any thread. Channels that are not configured are passed over.
        """
        self._pages.append((frozenset(channels), service, output))

    def start(self) -> None:
        if self._channels:
            threading.Thread(target=self._run, name="alerts", daemon=True).start()

    def stop(self) -> None:
        """What waits is in the store and goes out after the next start."""
        self._stopping.set()
        self.outbox.stop()

    def _run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            try:
                self.tick()
            except Exception:
                log.exception("deciding about alerts failed; trying on")
        self._close_store()

    def tick(self) -> None:
        """Decides, queues, and wakes whoever has something to send. Always from the same thread."""
        if self._opened is None:
            self._opened = self._recall()
        self._opened, notes = self._decide(self._opened)
        self.outbox.wake(self._save(self._opened, notes))

    def _decide(self, opened: list[Open]) -> tuple[list[Open], list[Note]]:
        """An alert of a channel that is not configured any more has nobody left to be told to."""
        now = self._clock()
        seen = see(self._snapshot(), now)
        kept: list[Open] = []
        notes: list[Note] = []
        pages = [self._pages.popleft() for _ in [*self._pages]]
        for channel in self._channels:
            mine = [entry for entry in opened if entry.channel == channel.name]
            wanted = {service: output for channels, service, output in pages if channel.name in channels}
            mine, paged = insist(channel, mine, seen, wanted, now.epoch_seconds)
            still, tells = decide(channel, mine, seen, now.epoch_seconds)
            tells = [*paged, *tells]
            kept += still
            if tells:
                source = {"host": socket.gethostname(), **self._source()}
                note = messages.notification(uuid.uuid4().hex, tells, source, now.epoch_seconds)
                notes.append((channel.name, note))
        return kept, notes

    # --- the store --------------------------------------------------------------------------------------

    def _recall(self) -> list[Open]:
        """Whoever was told before a restart that something fails is told that it is over."""
        try:
            rows = self._open_store().alerts.opened()
        except StoreError as error:
            self._trouble(error)
            return []
        return [Open(row.channel, row.service, row.since, row.told_at) for row in rows]

    def _save(self, opened: list[Open], notes: list[Note]) -> list[str]:
        """The channels for which something waits in the store."""
        held = self.outbox.take_back() if self.outbox.has_in_memory else []
        try:
            store = self._open_store()
            if notes or held or self._unsaved:
                rows = [
                    OpenAlert(entry.channel, entry.service, entry.since, entry.told_at) for entry in opened
                ]
                store.alerts.save(rows, [*held, *notes])
                self._unsaved, held, notes = False, [], []
            return store.alerts.channels()
        except StoreError as error:
            self._unsaved = self._unsaved or bool(notes or held)
            self.outbox.remember([*held, *notes])
            self._trouble(error)
            return []

    def _open_store(self) -> Store:
        if self._store is None:
            self._store = open_store(self._database, self._clock)
        return self._store

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _trouble(self, error: StoreError) -> None:
        log.warning("alerts wait in memory only: %s", error.what)
        self._close_store()


def _channel(name: str, alert: Mapping[str, Any]) -> Channel:
    repeat = float(alert.get("repeat", 0.0))
    if alert.get("format") == "alertmanager":
        repeat = min(repeat or ALERTMANAGER_REPEAT_SECONDS, ALERTMANAGER_REPEAT_SECONDS)
    return Channel(name, float(alert.get("delay", 0.0)), repeat)
