"""How long starts took: those of workers, of profiles and of what applications profile themselves.

In the file of the measurements, because that is what they are. Rows in, rows out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.store.samplefile import SampleFile

KEEP_EACH = 100
KEEP = 2000


@dataclass(frozen=True)
class StartRow:
    """``kind``: worker, profile or library. ``release``: its number, checkout, or the name of what was
    profiled. ``at`` in epoch seconds."""

    id: int
    at: float
    kind: str
    release: str
    seconds: float
    data: Mapping[str, Any]


class Starts:
    def __init__(self, file: SampleFile) -> None:
        self._file = file

    def add(self, at: float, kind: str, release: str, seconds: float, data: Mapping[str, Any]) -> int:
        with self._file.transaction() as connection:
            number = connection.execute(
                "INSERT INTO starts (at, kind, release, seconds, data) VALUES (?, ?, ?, ?, ?)",
                (at, kind, release, seconds, json.dumps(data, separators=(",", ":"))),
            ).lastrowid
            connection.execute(
                "DELETE FROM starts WHERE kind = ? AND release = ? AND id <= (SELECT id FROM starts WHERE"
                " kind = ? AND release = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (kind, release, kind, release, KEEP_EACH),
            )
            connection.execute("DELETE FROM starts WHERE id <= ?", ((number or 0) - KEEP,))
        return number or 0

    def amend(self, number: int, data: Mapping[str, Any]) -> None:
        with self._file.transaction() as connection:
            connection.execute(
                "UPDATE starts SET data = ? WHERE id = ?", (json.dumps(data, separators=(",", ":")), number)
            )

    def latest(self, *, kind: str = "", release: str = "", limit: int = 100) -> list[StartRow]:
        """Newest first; of this kind and release, where one is named."""
        rows = self._file.read(
            "SELECT id, at, kind, release, seconds, data FROM starts WHERE (? = '' OR kind = ?)"
            " AND (? = '' OR release = ?) ORDER BY id DESC LIMIT ?",
            (kind, kind, release, release, limit),
        )
        return [
            StartRow(number, at, of_kind, of_release, seconds, json.loads(data))
            for number, at, of_kind, of_release, seconds, data in rows
        ]
