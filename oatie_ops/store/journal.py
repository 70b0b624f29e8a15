"""What a run was about to do, written before it does it, so that a killed run can be undone or finished."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from oatie_ops.identity import ProcessIdentity
from oatie_ops.redaction import redact
from oatie_ops.store.database import Database, Parameter

StepState = Literal["started", "done", "failed", "undone"]


@dataclass(frozen=True)
class JournalStep:
    """``state`` is None for a step that was never begun; ``at`` is when it got there, in epoch seconds."""

    index: int
    name: str
    state: StepState | None
    started_at: float | None
    at: float | None


@dataclass(frozen=True)
class Run:
    """One deploy, rollback, reload ... ``outcome`` is None until it is finished.

    A run that is unfinished and whose ``owner`` is not alive was killed.
    """

    id: int
    kind: str
    actor: str
    release: int | None
    previous: int | None
    steps: tuple[JournalStep, ...]
    owner: ProcessIdentity
    started_at: float
    finished_at: float | None
    outcome: str | None
    detail: str


class Journal:
    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, kind: str, *, actor: str, release: int | None, previous: int | None, steps: Sequence[str]
    ) -> int:
        """Opens a run owned by this process and returns its id."""
        owner = json.dumps(ProcessIdentity.current().to_dict())
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO runs (kind, actor, release, previous, steps, owner, started_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (kind, actor, release, previous, json.dumps(list(steps)), owner, self._database.now()),
            )
        return int(cast(int, cursor.lastrowid))

    def step(self, run_id: int, index: int, state: StepState) -> None:
        """Durable when it returns: call it with ``started`` before the step is carried out."""
        if state not in get_args(StepState):
            raise ValueError(f"no such step state: {state!r}")
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO run_steps (run_id, step, state, at) VALUES (?, ?, ?, ?)",
                (run_id, index, state, self._database.now()),
            )

    def finish(self, run_id: int, outcome: str, detail: str = "") -> None:
        """Closes the run; the first outcome stands if two processes reconcile the same killed run."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE runs SET finished_at = ?, outcome = ?, detail = ?"
                " WHERE id = ? AND finished_at IS NULL",
                (self._database.now(), outcome, redact(detail), run_id),
            )

    def unfinished(self) -> list[Run]:
        """Oldest first. Includes a run that is going on just now: ask its ``owner``."""
        return self._runs("WHERE finished_at IS NULL ORDER BY id", ())

    def recent(self, limit: int = 20) -> list[Run]:
        """Newest first."""
        return self._runs("ORDER BY id DESC LIMIT ?", (limit,))

    def _runs(self, tail: str, parameters: tuple[Parameter, ...]) -> list[Run]:
        rows = self._database.read(f"SELECT * FROM runs {tail}", parameters)
        return [
            _run(
                row, self._database.read("SELECT * FROM run_steps WHERE run_id = ? ORDER BY id", (row["id"],))
            )
            for row in rows
        ]


def _run(row: sqlite3.Row, transitions: Sequence[sqlite3.Row]) -> Run:
    return Run(
        id=row["id"],
        kind=row["kind"],
        actor=row["actor"],
        release=row["release"],
        previous=row["previous"],
        steps=_steps(json.loads(row["steps"]), transitions),
        owner=ProcessIdentity.from_dict(json.loads(row["owner"])),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        outcome=row["outcome"],
        detail=row["detail"],
    )


def _steps(names: Sequence[str], transitions: Sequence[sqlite3.Row]) -> tuple[JournalStep, ...]:
    started = {row["step"]: row["at"] for row in transitions if row["state"] == "started"}
    latest = {row["step"]: row for row in transitions}
    return tuple(
        JournalStep(index, name, latest[index]["state"], started.get(index), latest[index]["at"])
        if index in latest
        else JournalStep(index, name, None, None, None)
        for index, name in enumerate(names)
    )
