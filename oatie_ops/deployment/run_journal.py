"""One run in the store's journal, opened once the deploy lock is held.

Nothing before the lock changes anything, so nothing before it has to survive a SIGKILL; what was said
until then is written when the run is opened. So two runs never have open journals at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from oatie_ops.store import StepState, Store


class RunJournal:
    """The engine's `Journal` over the store."""

    def __init__(self, kind: str, actor: str, steps: Sequence[str]) -> None:
        self._kind, self._actor, self._steps = kind, actor, tuple(steps)
        self._early: list[tuple[int, StepState]] = []
        self._opened: tuple[Store, int] | None = None

    def open(self, store: Store, release: int, previous: int | None) -> None:
        """The lock is held and the run has its number."""
        run = store.journal.begin(
            self._kind, actor=self._actor, release=release, previous=previous, steps=self._steps
        )
        self._opened = (store, run)
        for index, state in self._early:
            store.journal.step(run, index, state)

    def step(self, index: int, state: str) -> None:
        if self._opened is None:
            self._early.append((index, cast(StepState, state)))
        else:
            store, run = self._opened
            store.journal.step(run, index, cast(StepState, state))

    def finish(self, outcome: str, detail: str = "") -> None:
        if self._opened is not None:
            store, run = self._opened
            store.journal.finish(run, outcome, detail)
