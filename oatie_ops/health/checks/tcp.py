"""``{ type = "tcp", host = "10.0.0.5", port = 5432 }``, or ``url = "tcp://…"``: does it take a connection?"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.net import Target, dial


@dataclass(frozen=True)
class TcpCheck:
    spec: CheckSpec
    target: Target
    tools: Tools

    async def run(self, attempt: Attempt) -> Result:
        wire = await dial(self.target, attempt, self.tools.threads, self.spec.key)
        wire.abort()
        return Result(Status.PASS, f"{self.target} takes connections")


def build(spec: CheckSpec, tools: Tools) -> Check:
    return TcpCheck(spec, _target(spec), tools)


def _target(spec: CheckSpec) -> Target:
    host, port = spec.options.get("host", "127.0.0.1"), spec.options.get("port")
    if url := spec.options.get("url") or spec.options.get("address"):
        text = str(url)
        try:
            parts = urlsplit(text if "://" in text else f"//{text}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
    if not host or not isinstance(port, int) or not 0 < port < 65536:
        raise CheckUnusable('a tcp check needs host and port, or url = "tcp://host:port"')
    return Target(str(host), port)
