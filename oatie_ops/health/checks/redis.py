"""``{ type = "redis", url = "${REDIS_URL}", memory_warn = 80, memory_fail = 95, role = "master" }``.

PING, and INFO where memory or role are asked about. Needs the extra ``redis`` (redis-py), whose blocking
client runs in a thread; every one of its waits ends with the deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools, driver
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.thresholds import LEAVE_BELOW, Thresholds


@dataclass(frozen=True)
class Wanted:
    """``role`` as Redis words it (``master``, ``slave``) or ``""``; ``memory`` in percent of maxmemory."""

    role: str = ""
    memory: Thresholds | None = None

    @property
    def asks(self) -> bool:
        return bool(self.role) or self.memory is not None

    def judge(self, info: Mapping[str, Any], previous: Status) -> Result:
        """From the answer to INFO. Fails closed: what Redis does not tell meets no condition."""
        role = str(info.get("role", "?"))
        if self.role and role != self.role:
            return Result(Status.FAIL, f"is a {role} (wanted: {self.role})")
        if role == "slave" and self.role and info.get("master_link_status") != "up":
            return Result(Status.FAIL, "is a replica that has lost its master")
        if self.memory is None:
            return Result(Status.PASS, f"answers PING; is a {role}")
        used, limit = info.get("used_memory"), info.get("maxmemory") or info.get("total_system_memory")
        if not isinstance(used, int) or not isinstance(limit, int) or limit <= 0:
            return Result(Status.FAIL, "does not tell how much memory it uses")
        percent = 100.0 * used / limit
        of = "maxmemory" if info.get("maxmemory") else "the host's memory"
        output = f"answers PING; uses {percent:.0f} % of {of} ({used / 1e6:.0f} MB)"
        return Result(self.memory.status(previous, percent), output, round(percent, 1), "percent")


@dataclass(frozen=True)
class RedisCheck:
    spec: CheckSpec
    tools: Tools
    redis: Any
    url: str = field(repr=False)
    wanted: Wanted = field(default_factory=Wanted)

    async def run(self, attempt: Attempt) -> Result:
        attempt.waiting_for = "connecting to Redis"
        seconds = self.spec.timeout_seconds
        # New each time, as a new client would: a kept one could sit on a connection that is long dead.
        client = self.redis.Redis.from_url(
            self.url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=None, protocol=2
        )
        try:
            return await self.tools.threads.call(
                self.spec.key, lambda: self._measure(client, attempt), attempt
            )
        except asyncio.CancelledError:
            _hang_up(client)
            raise

    def _measure(self, client: Any, attempt: Attempt) -> Result:
        attempt.waiting_for = "waiting for the answer to PING"
        try:
            if not client.ping():
                return Result(Status.FAIL, "does not answer PING with PONG")
            if not self.wanted.asks:
                return Result(Status.PASS, "answers PING")
            attempt.waiting_for = "waiting for the answer to INFO"
            return self.wanted.judge(client.info(), attempt.previous)
        except self.redis.exceptions.BusyLoadingError:
            return Result(Status.FAIL, "is still loading its data")
        except self.redis.exceptions.RedisError as error:
            refused = isinstance(error, self.redis.exceptions.AuthenticationError)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            return Result(Status.FAIL, reason, refused=refused)
        finally:
            _hang_up(client)


def _hang_up(client: Any) -> None:
    # From the loop while the thread waits, or twice: closing a closed connection is no error.
    with contextlib.suppress(Exception):
        client.connection_pool.disconnect(inuse_connections=True)


def build(spec: CheckSpec, tools: Tools) -> Check:
    redis = driver("redis", "redis")
    options = spec.options
    if not options.get("url"):
        raise CheckUnusable('a redis check needs a url, such as "${REDIS_URL}"')
    role = {"": "", "master": "master", "primary": "master", "slave": "slave", "replica": "slave"}[
        str(options.get("role") or "")
    ]
    warn, fail = options.get("memory_warn"), options.get("memory_fail")
    memory = None
    if warn is not None or fail is not None:
        memory = Thresholds(
            100.0 if warn is None else warn,
            100.0 if warn is None else warn - LEAVE_BELOW,
            fail,
            None if fail is None else fail - LEAVE_BELOW,
        )
    return RedisCheck(spec, tools, redis, str(options["url"]), Wanted(role, memory))
