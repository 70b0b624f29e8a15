"""``restart = "docker:NAME"``: POST /containers/{name}/restart of the Docker Engine API, without an SDK."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from urllib.parse import quote

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.docker import engine_socket
from oatie_ops.health.http_probe import Answer, exchange
from oatie_ops.health.net import reason
from oatie_ops.health.wire import StreamWire
from oatie_ops.recovery.rungs.base import ActionFailed, Occasion, Refused

# The engine kills what has not ended by then.
GRACE_SECONDS = 10


@dataclass(frozen=True)
class RestartContainer:
    name: str
    timeout_seconds: float

    async def run(self, occasion: Occasion) -> str:
        grace = int(min(GRACE_SECONDS, self.timeout_seconds / 2))
        answer = await self._post(f"restart?t={grace}")
        if answer.status != 204 and "paused" in _message(answer):
            # The engine stops nothing that is paused.
            await self._post("unpause")
            answer = await self._post(f"restart?t={grace}")
        if answer.status == 404:
            raise Refused(f"there is no container {self.name}")
        if answer.status != 204:
            raise ActionFailed(f"the Docker Engine answers {answer.status}: {_message(answer)}")
        return f"the container {self.name} was restarted"

    async def _post(self, verb: str) -> Answer:
        socket = engine_socket()
        try:
            wire = StreamWire(*await asyncio.open_unix_connection(socket))
        except OSError as error:
            raise Refused(f"the Docker Engine at {socket}: {reason(error)}") from error
        request = (
            f"POST /containers/{quote(self.name, safe='')}/{verb} HTTP/1.1\r\n"
            "Host: docker\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        return await exchange(wire, request.encode(), head_only=False, attempt=Attempt())


def _message(answer: Answer) -> str:
    try:
        return str(json.loads(answer.body)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "no reason given"
