"""``{ type = "docker", container = "db" }``: does the container run, and what does its own check say?

Asks the Docker Engine API (GET /containers/{name}/json) over its Unix socket; no SDK is needed.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.http_probe import exchange
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.net import reason
from oatie_ops.health.wire import StreamWire

SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True)
class DockerCheck:
    container: str
    socket: str

    async def run(self, attempt: Attempt) -> Result:
        attempt.waiting_for = f"asking the Docker Engine at {self.socket}"
        try:
            wire = StreamWire(*await asyncio.open_unix_connection(self.socket))
        except OSError as error:
            # The engine may be down while its containers run: nothing is known about this one.
            return Result(Status.UNKNOWN, f"the Docker Engine at {self.socket}: {reason(error)}")
        request = (
            f"GET /containers/{quote(self.container, safe='')}/json HTTP/1.1\r\n"
            "Host: docker\r\nConnection: close\r\n\r\n"
        )
        answer = await exchange(wire, request.encode(), head_only=False, attempt=attempt)
        if answer.status == 404:
            return Result(Status.FAIL, f"there is no container {self.container}")
        if answer.status != 200 or not answer.whole:
            return Result(Status.UNKNOWN, f"the Docker Engine answers {answer.status}")
        try:
            return judge(self.container, json.loads(answer.body)["State"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return Result(Status.UNKNOWN, "the Docker Engine's answer cannot be read")


def judge(container: str, state: Mapping[str, Any]) -> Result:
    """From ``State`` of the container."""
    status = str(state["Status"])
    if status != "running":
        why = f" with {state.get('ExitCode')}" if status == "exited" else ""
        why += ", out of memory" if state.get("OOMKilled") else ""
        return Result(Status.FAIL, f"the container {container} is {status}{why}")
    health = str((state.get("Health") or {}).get("Status") or "none")
    if health == "unhealthy":
        return Result(Status.FAIL, f"the container {container} runs, but calls itself unhealthy")
    if health == "starting":
        return Result(Status.UNKNOWN, f"the container {container} is starting")
    return Result(
        Status.PASS, f"the container {container} runs" + (", healthy" if health == "healthy" else "")
    )


def build(spec: CheckSpec, tools: Tools) -> Check:
    container = spec.options.get("container")
    if not container:
        raise CheckUnusable("a docker check needs the name of a container")
    return DockerCheck(str(container), str(spec.options.get("socket") or engine_socket()))


def engine_socket() -> str:
    """That of DOCKER_HOST, else where the engine listens by default."""
    host = os.environ.get("DOCKER_HOST", "")
    return (host.removeprefix("unix://") if host.startswith("unix://") else "") or SOCKET
