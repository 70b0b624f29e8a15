"""The numbered releases and which one serves. Rows are never deleted, so a number is never used twice."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, Literal, get_args

from oatie_ops.errors import OatieError
from oatie_ops.redaction import redact, redact_value
from oatie_ops.store.database import Database

ReleaseStatus = Literal["building", "built", "good", "bad", "pruned"]
_SERVING = "serving"


@dataclass(frozen=True)
class Release:
    """``source``: where the code came from (commit, dirty, branch ...). Times are epoch seconds.

    ``good_at`` is when it last survived a bake; it stays when the release is pruned.
    """

    number: int
    status: ReleaseStatus
    created_at: float
    actor: str
    source: dict[str, Any]
    good_at: float | None
    note: str


class UnknownRelease(OatieError):
    """There is no release of that number."""


class Releases:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, *, actor: str, source: dict[str, Any], after: int = 0) -> Release:
        """Allocates the next number, status ``building``.

        `after` is the highest number found on the disk: a database that was lost and begun anew must
        not hand out the number of a directory that exists.
        """
        with self._database.transaction() as connection:
            highest = int(connection.execute("SELECT coalesce(max(number), 0) FROM releases").fetchone()[0])
            number = max(highest, after) + 1
            connection.execute(
                "INSERT INTO releases (number, status, created_at, actor, source)"
                " VALUES (?, 'building', ?, ?, ?)",
                (number, self._database.now(), actor, json.dumps(redact_value(source))),
            )
        return self._existing(number)

    def get(self, number: int) -> Release | None:
        rows = self._database.read("SELECT * FROM releases WHERE number = ?", (number,))
        return _release(rows[0]) if rows else None

    def list(self) -> list[Release]:
        """All releases, newest first, the pruned ones too."""
        return [_release(row) for row in self._database.read("SELECT * FROM releases ORDER BY number DESC")]

    def last_good(self, exclude: int | None = None) -> Release | None:
        """The release that most recently survived a bake and still has its files, other than `exclude`."""
        rows = self._database.read(
            "SELECT * FROM releases WHERE status = 'good' AND number IS NOT ?"
            " ORDER BY good_at DESC, number DESC LIMIT 1",
            (exclude,),
        )
        return _release(rows[0]) if rows else None

    def mark(self, number: int, status: ReleaseStatus, note: str = "") -> Release:
        """Sets the status; an empty `note` keeps the one before. Raises `UnknownRelease`."""
        if status not in get_args(ReleaseStatus):
            raise ValueError(f"no such release status: {status!r}")
        self._existing(number)
        note = redact(note)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE releases SET status = ?, note = CASE WHEN ? = '' THEN note ELSE ? END,"
                " good_at = CASE WHEN ? = 'good' THEN ? ELSE good_at END WHERE number = ?",
                (status, note, note, status, self._database.now(), number),
            )
        return self._existing(number)

    def serving(self) -> int | None:
        """The number of the release that users get; None before the first deploy."""
        rows = self._database.read("SELECT value FROM facts WHERE name = ?", (_SERVING,))
        return int(rows[0]["value"]) if rows else None

    def set_serving(self, number: int | None) -> None:
        """Raises `UnknownRelease`."""
        if number is not None:
            self._existing(number)
        with self._database.transaction() as connection:
            if number is None:
                connection.execute("DELETE FROM facts WHERE name = ?", (_SERVING,))
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (_SERVING, str(number))
                )

    def _existing(self, number: int) -> Release:
        release = self.get(number)
        if release is None:
            known = [f"release {each.number}: {each.status}" for each in self.list()[:10]]
            raise UnknownRelease(
                f"there is no release {number}",
                why="it was never created here" if known else "nothing has been deployed here yet",
                fix="choose one of those below" if known else "run `oatie deploy` first",
                details=known,
            )
        return release


def _release(row: sqlite3.Row) -> Release:
    return Release(
        number=row["number"],
        status=row["status"],
        created_at=row["created_at"],
        actor=row["actor"],
        source=json.loads(row["source"]),
        good_at=row["good_at"],
        note=row["note"],
    )
