"""Who did what, when, from where, with what result. Entries are only ever added."""

from __future__ import annotations

from dataclasses import dataclass

from oatie_ops.redaction import redact
from oatie_ops.store.database import Database

LOOKED_THROUGH = 5_000


@dataclass(frozen=True)
class AuditEntry:
    """``origin``: where the actor came from (``cli``, ``control-socket``, an address). ``at``: epoch time."""

    id: int
    at: float
    actor: str
    origin: str
    action: str
    subject: str
    result: str
    detail: str


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(  # noqa: PLR0917
        self, actor: str, origin: str, action: str, subject: str, result: str, detail: str = ""
    ) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO audit (at, actor, origin, action, subject, result, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self._database.now(), actor, origin, action, redact(subject), result, redact(detail)),
            )

    def recent(self, limit: int = 50, *, refused: bool | None = None) -> list[AuditEntry]:
        """Newest first. ``refused``: only what was, or was not, of the latest `LOOKED_THROUGH` lines."""
        if refused is None:
            rows = self._database.read("SELECT * FROM audit ORDER BY id DESC LIMIT ?", (limit,))
        else:
            rows = self._database.read(
                "SELECT * FROM (SELECT * FROM audit ORDER BY id DESC LIMIT ?)"
                " WHERE (result LIKE 'refused%') = ? ORDER BY id DESC LIMIT ?",
                (LOOKED_THROUGH, refused, limit),
            )
        return [AuditEntry(**{name: row[name] for name in row.keys()}) for row in rows]  # noqa: SIM118
