"""Records in a Redis hash, news by PUBLISH. Needs the extra ``redis``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import redis.asyncio as redis

CONNECT_SECONDS = 2.0


class RedisCarrier:
    """Two connections: one that asks, one that listens."""

    name = "Redis"

    def __init__(self, url: str, app: str) -> None:
        self._url = url
        self._hash = f"oatie:{app}:switches"
        self._client: Any = None
        self._news: Any = None

    async def open(self) -> None:
        self._client = redis.Redis.from_url(
            self._url,
            decode_responses=True,
            protocol=2,
            retry=None,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=CONNECT_SECONDS,
        )
        await self._client.ping()
        self._news = self._client.pubsub(ignore_subscribe_messages=True)
        await self._news.subscribe(self._hash)

    async def server_seconds(self) -> float:
        seconds, micros = await self._client.time()
        return float(seconds) + float(micros) / 1e6

    async def fetch(self) -> Mapping[str, str]:
        found: Mapping[str, str] = await self._client.hgetall(self._hash)
        return found

    async def put(self, key: str, record: str | None) -> None:
        async with self._client.pipeline(transaction=True) as batch:
            if record is None:
                batch.hdel(self._hash, key)
            else:
                batch.hset(self._hash, key, record)
            batch.publish(self._hash, "changed")
            await batch.execute()

    async def wait(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (left := deadline - loop.time()) > 0:
            if await self._news.get_message(timeout=left) is not None:
                return True
        return False

    async def close(self) -> None:
        news, client = self._news, self._client
        self._news = self._client = None
        if news is not None:
            await news.aclose()
        if client is not None:
            await client.aclose()
