"""Records in a table of PostgreSQL, news by NOTIFY. Needs the extra ``postgres``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

CHANNEL = "oatie_switches"
CONNECT_SECONDS = 2
# Concurrent first starts may both find no table; the one that loses tries again.
TABLE = """
CREATE TABLE IF NOT EXISTS oatie_switches (
    app text NOT NULL, key text NOT NULL, record text NOT NULL, PRIMARY KEY (app, key)
)
"""


class PostgresCarrier:
    """Two connections: one that asks, one that listens."""

    name = "PostgreSQL"

    def __init__(self, url: str, app: str) -> None:
        self._url = url
        self._app = app
        self._asking: Any = None
        self._listening: Any = None

    async def open(self) -> None:
        self._asking = await self._connect()
        await self._asking.execute(TABLE)
        self._listening = await self._connect()
        await self._listening.execute(f"LISTEN {CHANNEL}")

    async def _connect(self) -> Any:
        return await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="oatie switches"
        )

    async def server_seconds(self) -> float:
        cursor = await self._asking.execute("SELECT extract(epoch FROM clock_timestamp())")
        return float((await cursor.fetchone())[0])

    async def fetch(self) -> Mapping[str, str]:
        cursor = await self._asking.execute(
            "SELECT key, record FROM oatie_switches WHERE app = %s", (self._app,)
        )
        return dict(await cursor.fetchall())

    async def put(self, key: str, record: str | None) -> None:
        async with self._asking.transaction():
            if record is None:
                await self._asking.execute(
                    "DELETE FROM oatie_switches WHERE app = %s AND key = %s", (self._app, key)
                )
            else:
                await self._asking.execute(
                    "INSERT INTO oatie_switches (app, key, record) VALUES (%s, %s, %s)"
                    " ON CONFLICT (app, key) DO UPDATE SET record = EXCLUDED.record",
                    (self._app, key, record),
                )
            await self._asking.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self._app))

    async def wait(self, seconds: float) -> bool:
        async for notice in self._listening.notifies(timeout=seconds):
            if notice.payload == self._app:
                return True
        return False

    async def close(self) -> None:
        connections = (self._listening, self._asking)
        self._listening = self._asking = None
        for connection in connections:
            if connection is not None:
                await connection.close()
