"""The errors that the supervisor wrote down: for ``oatie recover --errors`` and the ops API."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from oatie_ops.recovery.errors_report import SHOWN_GROUPS, ErrorReport, summary
from oatie_ops.store import Store

BUSY_TIMEOUT_SECONDS = 2.0


def read(store: Store, service: str | None = None, *, shown: int = SHOWN_GROUPS) -> dict[str, Any]:
    """See `oatie_ops.recovery.errors_report.summary`; ``lately`` are the errors of this hour and the last."""
    lately = store.errors.lately()
    counted = sum(lately.values()) if service is None else lately.get(service, 0)
    return {**summary(groups(store, service), shown=shown), "lately": counted}


def groups(store: Store, service: str | None = None) -> list[ErrorReport]:
    return [ErrorReport(**asdict(row)) for row in store.errors.all(service)]


def from_database(path: Path, service: str | None = None, *, shown: int = SHOWN_GROUPS) -> dict[str, Any]:
    """Raises `StoreError`. Where there is no database yet there are no errors, and none is made."""
    if not path.exists():
        return {**summary([]), "lately": 0}
    with Store.open(path, busy_timeout_seconds=BUSY_TIMEOUT_SECONDS) as store:
        return read(store, service, shown=shown)
