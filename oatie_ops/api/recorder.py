"""Writes events and audit lines to the store in a thread of its own: a slow disk delays no answer."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from oatie_ops.api.context import Deed
from oatie_ops.health.board import Change
from oatie_ops.recovery.errors_report import ErrorReport
from oatie_ops.store import Store, StoreError
from oatie_ops.store.error_groups import ErrorRow

WAITING = 1000
HEALTH, AUDIT = "health", "audit"

log = logging.getLogger(__name__)

Write = Callable[[Store], None]


class Recorder:
    """Nothing is opened and no thread runs before the first line. `close` writes what is waiting.

    ``counts``: the lines of each kind, those that the store refuses included.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self.counts = Counter({HEALTH: 0, AUDIT: 0})
        self._waiting: queue.Queue[Write | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def audit(self, deed: Deed) -> None:
        self.counts[AUDIT] += 1
        self._put(
            lambda store: store.audit.add(
                deed.actor, deed.origin, deed.action, deed.subject, deed.result, deed.detail
            )
        )

    def change(self, change: Change) -> None:
        self.counts[HEALTH] += 1
        message = f"{change.service} is {change.after}: {change.output}"
        data = {"before": change.before.value, "after": change.after.value}
        self._put(lambda store: store.events.add(HEALTH, change.service, message, data))

    def errors(self, reports: Sequence[ErrorReport]) -> None:
        rows = [ErrorRow(**asdict(report)) for report in reports]

        def write(store: Store) -> None:
            for row in rows:
                store.errors.add(row)

        self._put(write)

    def close(self, timeout_seconds: float = 2.0) -> None:
        if self._thread is None:
            return
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(timeout_seconds)

    def _put(self, write: Write) -> None:
        try:
            self._waiting.put_nowait(write)
        except queue.Full:
            log.warning("the store does not keep up; a line was dropped")
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="recorder", daemon=True)
            self._thread.start()

    def _write_all(self) -> None:
        store: Store | None = None
        while (write := self._waiting.get()) is not None:
            try:
                if store is None:
                    store = Store.open(self._database)
                write(store)
            except StoreError as error:
                log.warning("an event was not recorded: %s: %s", error.what, error.why)
            except Exception:
                log.exception("an event was not recorded")
        if store is not None:
            store.close()
