"""The one subscriber of a host: keeps its switches and those of the other hosts the same.

It runs in the supervisor, beside everything else. No request waits for it: it writes the local words. While
the server is away, the last known decisions stay in force and are marked stale.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from oatie_ops.degradation.conductor import Conductor
from oatie_ops.degradation.decision import Now
from oatie_ops.degradation.share import Key, Local, Offset, Record, merge, record_from
from oatie_ops.errors import OatieError
from oatie_ops.redaction import redact

# Every wait for the server ends with this; a server that is paused is noticed within both together.
ANSWER_SECONDS = 2.0
PING_SECONDS = 1.0
RETRY_SECONDS = (0.1, 5.0)

log = logging.getLogger(__name__)


class Carrier(Protocol):
    """A server that carries records. Any exception of its methods means: it is gone; `open` begins anew."""

    name: str

    async def open(self) -> None: ...

    async def server_seconds(self) -> float:
        """Its own wall clock, which all hosts go by."""
        ...

    async def fetch(self) -> Mapping[str, str]: ...

    async def put(self, key: str, record: str | None) -> None:
        """Keeps it (None: forgets it) and tells every host."""
        ...

    async def wait(self, seconds: float) -> bool:
        """Whether somebody changed something, within that time."""
        ...

    async def close(self) -> None: ...


class ShareLoop:
    def __init__(
        self,
        carrier: Carrier,
        conductor: Conductor,
        host: str,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._carrier = carrier
        self._conductor = conductor
        self._host = host
        self._jitter = jitter
        self._changed = asyncio.Event()
        self._offset: Offset | None = None
        self._ends: Mapping[Key, float] = {}

    def changed(self) -> None:
        """Something was decided here. From the loop's thread."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        pause = RETRY_SECONDS[0]
        await self._conductor.mark_stale(f"{self._carrier.name} has not answered yet")
        while True:
            try:
                await self._session()
            except asyncio.CancelledError:
                await self._hang_up()
                raise
            except Exception as error:  # noqa: BLE001 - whatever a driver raises, the server is away
                why = f"{self._carrier.name}: {redact(_told(error))}"
                was_stale = bool(self._conductor.known.stale)
                await self._conductor.mark_stale(why)
                if not was_stale:
                    log.warning("switches of other hosts are stale: %s", why)
                    pause = RETRY_SECONDS[0]
            await self._hang_up()
            await asyncio.sleep(pause * (0.5 + self._jitter() / 2))
            pause = min(RETRY_SECONDS[1], 2 * pause)

    async def _session(self) -> None:
        """While the server answers."""
        carrier = self._carrier
        async with asyncio.timeout(ANSWER_SECONDS):
            await carrier.open()
        while True:
            self._changed.clear()
            async with asyncio.timeout(ANSWER_SECONDS):
                self._offset = Offset(*await self._measure()).steadied(self._offset)
                await self._sync(self._offset)
            await self._conductor.mark_stale("")
            await self._wait()

    async def _measure(self) -> tuple[float, Now]:
        """The server's time, and ours in the middle of asking for it."""
        before = self._conductor.now()
        server = await self._carrier.server_seconds()
        after = self._conductor.now()
        half = (after.monotonic_seconds - before.monotonic_seconds) / 2
        return server, replace(
            after,
            monotonic_seconds=after.monotonic_seconds - half,
            epoch_seconds=after.epoch_seconds - half,
        )

    async def _wait(self) -> None:
        """For news from either side, or for the next look whether the server is there."""
        here = asyncio.ensure_future(self._changed.wait())
        there = asyncio.ensure_future(self._carrier.wait(PING_SECONDS))
        try:
            await asyncio.wait(
                {here, there},
                timeout=PING_SECONDS + ANSWER_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if there.done():
                there.result()
        finally:
            for task in (here, there):
                task.cancel()
            await asyncio.gather(here, there, return_exceptions=True)

    async def _sync(self, offset: Offset) -> None:
        carrier, conductor = self._carrier, self._conductor
        remote = read_records(await carrier.fetch())
        local = Local(self._host, conductor.known.decisions, conductor.ended_lately(), self._ends)
        merged = merge(remote, local, offset, conductor.now())
        if merged.added or merged.ended:
            await conductor.apply_from_others(merged.added, merged.ended)
        self._ends = merged.ends
        for record in merged.told:
            await carrier.put(encode_key(record.key), json.dumps(record.to_dict()))
        for key in merged.forgotten:
            await carrier.put(encode_key(key), None)

    async def _hang_up(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._carrier.close()
        except Exception as error:  # noqa: BLE001 - it is given up anyway
            log.debug("closing the connection to %s: %s", self._carrier.name, error)


def read_records(fetched: Mapping[str, str]) -> dict[Key, Record]:
    """What is no record (a newer oatie's, somebody else's) is passed over."""
    found: dict[Key, Record] = {}
    for text in fetched.values():
        try:
            data: Any = json.loads(text)
            record = record_from(data)
        except (ValueError, KeyError, TypeError):
            continue
        found[record.key] = record
    return found


def encode_key(key: Key) -> str:
    return json.dumps(key)


def carrier_for(url: str, app: str) -> Carrier:
    """Raises `OatieError` where its driver is not installed."""
    scheme = url.partition("://")[0].lower()
    try:
        if scheme in ("postgresql", "postgres"):
            from oatie_ops.degradation.share_postgres import PostgresCarrier

            return PostgresCarrier(url, app)
        from oatie_ops.degradation.share_redis import RedisCarrier

        return RedisCarrier(url, app)
    except ImportError as error:
        extra = "postgres" if scheme.startswith("postgres") else "redis"
        raise OatieError(
            "switches are not shared with other hosts",
            why=f"the driver for {scheme}:// is not installed",
            fix=f"pip install 'oatie-ops[{extra}]' where oatie is, then start again",
        ) from error


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER_SECONDS:g} s"
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
