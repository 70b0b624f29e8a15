"""Groups of equal errors. Rows in, rows out; what they mean is decided in recovery/."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from oatie_ops.redaction import redact
from oatie_ops.store.database import Database

KEEP_GROUPS = 1_000
HOUR_SECONDS = 3600
KEEP_HOURS = 7 * 24
# Kept of a text once no secret is in it any more.
MAX_MESSAGE, MAX_SAMPLE = 500, 8_000
# Each severity stands further right than those that are less severe.
SEVERITY_ORDER = "info warning error critical"


@dataclass(frozen=True)
class ErrorRow:
    """See `oatie_ops.recovery.errors_report.ErrorReport`."""

    fingerprint: str
    service: str
    kind: str
    culprit: str
    message: str
    severity: str
    count: int
    first_at: float
    last_at: float
    release: str
    sample: str
    recovery: str
    outcome: str


_NAMES = [field.name for field in fields(ErrorRow)]
_COLUMNS = ", ".join(_NAMES)
_JOIN = f"""
    INSERT INTO error_groups ({_COLUMNS}) VALUES ({", ".join(f":{name}" for name in _NAMES)})
    ON CONFLICT (service, fingerprint) DO UPDATE SET
        count = count + excluded.count,
        first_at = MIN(first_at, excluded.first_at),
        last_at = MAX(last_at, excluded.last_at),
        message = excluded.message,
        severity = CASE
            WHEN INSTR('{SEVERITY_ORDER}', excluded.severity) > INSTR('{SEVERITY_ORDER}', severity)
            THEN excluded.severity ELSE severity END,
        release = CASE excluded.release WHEN '' THEN release ELSE excluded.release END,
        sample = CASE excluded.sample WHEN '' THEN sample ELSE excluded.sample END,
        outcome = CASE excluded.recovery WHEN '' THEN outcome ELSE excluded.outcome END,
        recovery = CASE excluded.recovery WHEN '' THEN recovery ELSE excluded.recovery END
"""


class ErrorGroups:
    def __init__(self, database: Database, keep: int = KEEP_GROUPS) -> None:
        self._database = database
        self._keep = keep

    def add(self, row: ErrorRow) -> None:
        """Joins it to its group, or begins one; then the groups that were silent for longest go."""
        values = {
            **{
                name: redact(value) if isinstance(value, str) else value
                for name, value in asdict(row).items()
            },
        }
        values["message"] = values["message"][:MAX_MESSAGE]
        values["sample"] = values["sample"][-MAX_SAMPLE:]
        hour = int(row.last_at // HOUR_SECONDS)
        with self._database.transaction() as connection:
            connection.execute(_JOIN, values)
            connection.execute(
                "INSERT INTO error_hours (service, hour, count) VALUES (?, ?, ?)"
                " ON CONFLICT (service, hour) DO UPDATE SET count = count + excluded.count",
                (values["service"], hour, row.count),
            )
            connection.execute("DELETE FROM error_hours WHERE hour < ?", (hour - KEEP_HOURS,))
            connection.execute(
                "DELETE FROM error_groups WHERE id IN (SELECT id FROM error_groups"
                " ORDER BY last_at DESC, id DESC LIMIT -1 OFFSET ?)",
                (self._keep,),
            )

    def recovered(self, service: str, recovery: str, outcome: str, since: float) -> int:
        """Notes what was tried against the errors that this service had since then; how many groups."""
        with self._database.transaction() as connection:
            return connection.execute(
                "UPDATE error_groups SET recovery = ?, outcome = ? WHERE service = ? AND last_at >= ?",
                (redact(recovery), outcome, service, since),
            ).rowcount

    def all(self, service: str | None = None) -> list[ErrorRow]:
        """Newest first."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM error_groups WHERE ? IS NULL OR service = ?"
            " ORDER BY last_at DESC, id DESC",
            (service, service),
        )
        return [ErrorRow(**dict(row)) for row in rows]

    def lately(self) -> dict[str, int]:
        """Errors by service in the running hour and the one before it."""
        hour = int(self._database.now() // HOUR_SECONDS)
        rows = self._database.read(
            "SELECT service, SUM(count) AS errors FROM error_hours WHERE hour >= ? GROUP BY service",
            (hour - 1,),
        )
        return {row["service"]: int(row["errors"]) for row in rows}
