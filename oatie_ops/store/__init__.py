"""The embedded database: releases, journal, events, audit."""

from __future__ import annotations

from oatie_ops.store.audit import AuditEntry
from oatie_ops.store.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull, StoreTooNew
from oatie_ops.store.events import Event
from oatie_ops.store.journal import JournalStep, Run, StepState
from oatie_ops.store.releases import Release, ReleaseStatus, UnknownRelease
from oatie_ops.store.store import Store

__all__ = [
    "AuditEntry",
    "Event",
    "JournalStep",
    "Release",
    "ReleaseStatus",
    "Run",
    "StepState",
    "Store",
    "StoreBusy",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreTooNew",
    "UnknownRelease",
]
