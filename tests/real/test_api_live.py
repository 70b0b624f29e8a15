"""A change reaches who looks at the dashboard's stream of events, by itself and soon."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import httpx

from tests.real.test_api_attacks import Target, target
from tests.real.waiting import PATIENCE_SECONDS, run


async def frames(at: Target, told: asyncio.Queue[dict[str, Any]]) -> None:
    """Puts what each event holds, until cancelled."""
    url = f"http://{at.host}/health/dashboard/events"
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client, client.stream("GET", url) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in answer.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data" and name == "frame":
                told.put_nowait(json.loads(value))


async def until_told(told: asyncio.Queue[dict[str, Any]], words: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while words not in json.dumps(await told.get(), ensure_ascii=False):
            pass


def test_what_changes_arrives_at_every_stream_that_is_open(tmp_path: Path) -> None:
    async def work() -> None:
        with socket.socket() as database:
            database.bind(("127.0.0.1", 0))  # nobody else gets the port, and it refuses until it listens
            port = database.getsockname()[1]
            async with target(tmp_path, port_of_db=port) as at:
                queues = [asyncio.Queue[dict[str, Any]]() for _ in range(5)]
                streams = [asyncio.ensure_future(frames(at, told)) for told in queues]
                try:
                    await asyncio.gather(*(until_told(told, "connection refused") for told in queues))
                    database.listen(64)
                    await asyncio.gather(*(until_told(told, f"{port} takes connections") for told in queues))
                finally:
                    for stream in streams:
                        stream.cancel()
                    ended = await asyncio.gather(*streams, return_exceptions=True)
                assert {type(end) for end in ended} == {asyncio.CancelledError}

    run(work)
