"""``{ type = "postgres", url = "${DATABASE_URL}", query = "SELECT 1", role = "replica", lag_fail = "30s" }``.

A new session each time: what is measured is whether a new client would be served. The session is read-only.
Needs the extra ``postgres`` (psycopg 3). The driver blocks, so it runs in a thread; at the deadline its
socket is shut down, which ends the wait of the thread whatever the server does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oatie_ops.config.conditions import MISSING, Condition, parse
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools, driver
from oatie_ops.health.model import CheckSpec, Result, Status

if TYPE_CHECKING:
    import psycopg

# A replica that replayed everything it received is not behind, however quiet its primary is.
REPLICA_SQL = """
SELECT pg_is_in_recovery(),
       CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE EXTRACT(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END,
       EXISTS (SELECT 1 FROM pg_stat_wal_receiver)
"""


@dataclass(frozen=True)
class Replication:
    """What is wanted: ``role`` ``primary``, ``replica`` or any (``""``); lag in seconds."""

    role: str = ""
    lag_warn_seconds: float | None = None
    lag_fail_seconds: float | None = None

    @property
    def asked(self) -> bool:
        return bool(self.role) or self.lags

    @property
    def lags(self) -> bool:
        return self.lag_warn_seconds is not None or self.lag_fail_seconds is not None

    def judge(self, replica: bool, lag_seconds: float | None, receiving: bool) -> Result:
        """Fails closed: a lag that nobody can measure is no small lag."""
        role = "replica" if replica else "primary"
        if self.role and self.role != role:
            return Result(Status.FAIL, f"is a {role} (wanted: {self.role})")
        if not self.lags:
            return Result(Status.PASS, f"is a {role}")
        if not replica:
            return Result(Status.FAIL, "is a primary, so it has no replication lag")
        if not receiving:
            return Result(Status.FAIL, "is a replica that receives nothing: not connected to its primary")
        if lag_seconds is None:
            return Result(Status.FAIL, "is a replica whose lag is not known")
        for status, limit in (
            (Status.FAIL, self.lag_fail_seconds),
            (Status.WARN, self.lag_warn_seconds),
        ):
            if limit is not None and lag_seconds > limit:
                said = f"is a replica, {lag_seconds:.1f} s behind (allowed: {limit:g} s)"
                return Result(status, said, round(lag_seconds, 3), "seconds")
        return Result(
            Status.PASS, f"is a replica, {lag_seconds:.1f} s behind", round(lag_seconds, 3), "seconds"
        )


@dataclass
class _Session:
    """Handed from the thread to the loop, so that the loop can end it."""

    descriptor: int | None = None

    def hang_up(self) -> None:
        if self.descriptor is None:
            return
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.descriptor)) as wire:
            wire.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class PostgresCheck:
    spec: CheckSpec
    tools: Tools
    connect: Any  # psycopg.connect
    conninfo: str = field(repr=False)
    query: str = "SELECT 1"
    expect: Condition | None = None
    replication: Replication = field(default_factory=Replication)

    async def run(self, attempt: Attempt) -> Result:
        session = _Session()
        attempt.waiting_for = "connecting to PostgreSQL"
        try:
            return await self.tools.threads.call(
                self.spec.key, lambda: self._measure(session, attempt), attempt
            )
        except asyncio.CancelledError:
            session.hang_up()
            raise

    def _measure(self, session: _Session, attempt: Attempt) -> Result:
        import psycopg

        try:
            with self._opened(attempt) as connection:
                session.descriptor = connection.fileno()
                try:
                    return self._ask(connection, attempt)
                finally:
                    session.descriptor = None
        except psycopg.Error as error:
            return Result(Status.FAIL, _reason(error), refused=_is_refusal(error))

    def _opened(self, attempt: Attempt) -> psycopg.Connection[tuple[Any, ...]]:
        attempt.waiting_for = "connecting to PostgreSQL"
        seconds = self.spec.timeout_seconds
        connection: psycopg.Connection[tuple[Any, ...]] = self.connect(
            self.conninfo,
            autocommit=True,
            # psycopg counts in whole seconds and takes no less than two.
            connect_timeout=max(2, int(seconds) + 1),
            application_name="oatie-health",
            # A server that vanished without a word must not keep the thread for the kernel's two hours.
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
        )
        return connection

    def _ask(self, connection: psycopg.Connection[tuple[Any, ...]], attempt: Attempt) -> Result:
        attempt.waiting_for = "waiting for the answer to the query"
        # Within one transaction, because a pooler such as PgBouncer refuses settings at the start and
        # would hand a session's settings to the next client.
        milliseconds = max(1, int(self.spec.timeout_seconds * 1000))
        connection.execute(f"BEGIN READ ONLY; SET LOCAL statement_timeout = {milliseconds}".encode())
        try:
            return self._judge(connection, attempt)
        finally:
            if not connection.closed:
                connection.execute(b"ROLLBACK")

    def _judge(self, connection: psycopg.Connection[tuple[Any, ...]], attempt: Attempt) -> Result:
        cursor = connection.execute(self.query.encode())
        row = cursor.fetchone() if cursor.description else None
        if self.expect is not None:
            objection = self.expect.objection(row[0] if row else MISSING)
            if objection:
                return Result(Status.FAIL, f"the answer to the query {objection}")
        if not self.replication.asked:
            return Result(Status.PASS, "answers the query")
        attempt.waiting_for = "asking for the state of the replication"
        found = connection.execute(REPLICA_SQL.encode()).fetchone()
        if found is None:
            return Result(Status.UNKNOWN, "does not tell the state of its replication")
        replica, lag, receiving = found
        return self.replication.judge(bool(replica), None if lag is None else float(lag), bool(receiving))


def _reason(error: Exception) -> str:
    """The first line of the server's or libpq's words; they hold no password."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _is_refusal(error: psycopg.Error) -> bool:
    """Class 28 of SQLSTATE; a session that was never opened has none, only libpq's words."""
    return (error.sqlstate or "").startswith("28") or "authentication failed" in str(error)


def build(spec: CheckSpec, tools: Tools) -> Check:
    psycopg = driver("psycopg", "postgres")
    options = spec.options
    if not options.get("url"):
        raise CheckUnusable('a postgres check needs a url, such as "${DATABASE_URL}"')
    return PostgresCheck(
        spec,
        tools,
        psycopg.connect,
        str(options["url"]),
        str(options.get("query") or "SELECT 1"),
        parse(options["expect"]) if "expect" in options else None,
        Replication(str(options.get("role") or ""), options.get("lag_warn"), options.get("lag_fail")),
    )
