"""The one door to the state database."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

from oatie_ops.store.alerts import Alerts
from oatie_ops.store.audit import Audit
from oatie_ops.store.database import BUSY_TIMEOUT_SECONDS, Clock, Database
from oatie_ops.store.error_groups import ErrorGroups
from oatie_ops.store.events import Events
from oatie_ops.store.health import HealthRecords
from oatie_ops.store.journal import Journal
from oatie_ops.store.recoveries import Recoveries
from oatie_ops.store.releases import Releases
from oatie_ops.store.switches import Switches


class Store:
    """Belongs to the thread that opened it; any number of threads and processes may each open their own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.releases = Releases(database)
        self.journal = Journal(database)
        self.events = Events(database)
        self.audit = Audit(database)
        self.health = HealthRecords(database)
        self.alerts = Alerts(database)
        self.errors = ErrorGroups(database)
        self.recoveries = Recoveries(database)
        self.switches = Switches(database)

    @classmethod
    def open(
        cls, path: Path, *, clock: Clock = time.time, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS
    ) -> Store:
        """Creates the file (mode 0600) where there is none and brings its schema up to date.

        Raises `StoreError`: damaged, locked for longer than the time-out, no space, not writable, or
        written by a newer oatie.
        """
        return cls(Database(path, clock=clock, busy_timeout_seconds=busy_timeout_seconds))

    @property
    def path(self) -> Path:
        return self._database.path

    def now(self) -> float:
        """Epoch seconds, of the clock that everything in this store is dated with."""
        return self._database.now()

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
