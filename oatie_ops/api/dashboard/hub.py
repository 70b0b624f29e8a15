"""The newest frame, made once for all who look: made when somebody does, and told to those who stay.

Every part of the page carries the number of the version in which it last changed, so each reader gets what
changed since the one it has, and readers that have the same one get the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oatie_ops.api.context import OpsContext
from oatie_ops.api.dashboard import tiles, words
from oatie_ops.api.dashboard.collect import Collector
from oatie_ops.api.dashboard.frame import frame
from oatie_ops.api.dashboard.kept import Kept
from oatie_ops.api.dashboard.sections import others, row_id, service_row, title
from oatie_ops.api.dashboard.templates import Html
from oatie_ops.api.tokens import Scope
from oatie_ops.api.visible import visible

# What readers without a stream may get, at most.
FRESH_SECONDS = 0.25
TICK_SECONDS = 1.0
# What a check finds or somebody does is told at the next tick; figures, which always change, so often.
FIGURES_SECONDS = 2.0
# What only an operator sees is made while one looks: nobody has asked for so long, nobody does.
ASKED_SECONDS = 5.0
# With very many services a frame takes long; this is the largest share of the time that it may take.
LARGEST_SHARE = 0.1
ROWS_AT_ONCE = 20
# Readers of one stream have all the same version; more than some is somebody who makes them up.
PAYLOADS_KEPT = 16
SERIES = "series"

log = logging.getLogger(__name__)


@dataclass
class Edition:
    """What one scope sees. ``html`` and ``changed`` (version) by the id of the element."""

    data: dict[str, Any] = field(default_factory=dict)
    html: dict[str, Html] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    series: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    made_at: float = float("-inf")  # monotonic, as the next
    asked_at: float = float("-inf")
    kept: Kept = field(default_factory=Kept)
    _payloads: dict[int, bytes] = field(default_factory=dict)

    def take(self, data: dict[str, Any], html: dict[str, Html], version: int) -> bool:
        """True where something changed."""
        new = {key for key, text in html.items() if self.html.get(key) != text}
        series = tiles.series(data)
        if series != self.series:
            new.add(SERIES)
        self.data, self.html, self.series = data, html, series
        self.changed |= dict.fromkeys(new, version)
        self.body = b""
        self._payloads.clear()
        return bool(new)

    def payload(self, since: int, version: int) -> bytes:
        """What changed after ``since``, as JSON."""
        since = 0 if since > version else since
        known = self._payloads.get(since)
        if known is None:
            told: dict[str, Any] = {
                "version": version,
                **_moments(self.data),
                "status": self.data["status"],
                "title": title(self.data),
                "order": [row_id(self.data, name) for name in self.data["order"]],
                "sections": {key: text for key, text in self.html.items() if self.changed[key] > since},
            }
            if self.changed.get(SERIES, 0) > since:
                told[SERIES] = self.series
            known = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
            if len(self._payloads) < PAYLOADS_KEPT:
                self._payloads[since] = known
        return known

    def json(self) -> bytes:
        """The frame itself."""
        if not self.body:
            self.body = json.dumps(self.data, ensure_ascii=False, separators=(",", ":")).encode()
        return self.body


class Hub:
    """Belongs to the event loop that serves the API. Does nothing while nobody looks."""

    def __init__(self, context: OpsContext) -> None:
        self._collector = Collector(context)
        # Larger than any that an earlier process gave out, so that nobody who stayed misses a change.
        self.version = int(time.time() * 1000)
        self.streams = 0
        self._editions = {scope: Edition() for scope in (Scope.READ, Scope.OPERATE)}
        self._making: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._took_seconds = 0.0
        self._standing: Any = None
        self._figures_at = float("-inf")
        self._wake = asyncio.Event()
        self._told: asyncio.Future[None] | None = None

    async def edition(self, scope: Scope) -> Edition:
        """Not older than `FRESH_SECONDS`. However many ask at once, one is made."""
        found = self._editions[max(scope, Scope.READ)]
        found.asked_at = time.monotonic()
        for _ in range(2):  # the one that is under way may have begun when nobody asked for this scope
            if found.asked_at - found.made_at > FRESH_SECONDS:
                await self._make()
        return found

    async def newest(self, scope: Scope) -> Edition:
        """The one that was told last, for those who are `watching`; made where nobody of this scope was."""
        found = self._editions[max(scope, Scope.READ)]
        found.asked_at = time.monotonic()
        if found.made_at < found.asked_at - 2 * max(FIGURES_SECONDS, self._took_seconds / LARGEST_SHARE):
            return await self.edition(scope)
        return found

    def look_soon(self) -> None:
        """Something has just changed that somebody may be waiting to see. From the loop's thread only."""
        self._figures_at = float("-inf")
        self._wake.set()

    @contextlib.contextmanager
    def watching(self) -> Any:
        """While somebody does, frames are made by themselves."""
        self.streams += 1
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell(), name="dashboard")
        try:
            yield
        finally:
            self.streams -= 1

    async def told(self) -> None:
        """Until the next look, whether or not it found a change."""
        if self._told is None or self._told.done():
            self._told = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._told)

    def moments(self, scope: Scope) -> bytes:
        return json.dumps(_moments(self._editions[max(scope, Scope.READ)].data)).encode()

    async def _tell(self) -> None:
        while self.streams:
            try:
                if self._is_due():
                    await self._make()
            except Exception:
                log.exception("a frame of the dashboard could not be made")
            if self._told is not None and not self._told.done():
                self._told.set_result(None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(TICK_SECONDS, self._took_seconds / LARGEST_SHARE)):
                    await self._wake.wait()
            self._wake.clear()

    def _is_due(self) -> bool:
        standing, now = self._collector.standing(), time.monotonic()
        if standing == self._standing and now - self._figures_at < FIGURES_SECONDS - TICK_SECONDS / 2:
            return False
        self._standing, self._figures_at = standing, now
        return True

    async def _make(self) -> None:
        if self._making is None or self._making.done():
            self._making = asyncio.get_running_loop().create_task(self._make_now())
        await asyncio.shield(self._making)

    async def _make_now(self) -> None:
        data = frame(await self._collector.sources())
        began = time.process_time()
        changed = False
        lately = time.monotonic() - max(ASKED_SECONDS, 2 * self._took_seconds / LARGEST_SHARE)
        for scope, edition in self._editions.items():
            if edition.asked_at < lately:
                continue
            seen = visible(data, scope)
            changed |= edition.take(seen, await _html(seen, edition.kept), self.version + 1)
            edition.made_at = time.monotonic()
        if changed:
            self.version += 1
        self._took_seconds = time.process_time() - began


async def _html(data: Mapping[str, Any], kept: Kept) -> dict[str, Html]:
    """All sections; a health answer may come in between."""
    found: dict[str, Html] = {}
    for index, name in enumerate(data["services"]):
        found[f"svc-{index}"] = service_row(data, name, kept)
        if index % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
            await asyncio.sleep(0)
    return others(data, kept) | found


def _moments(data: Mapping[str, Any]) -> dict[str, float]:
    """Epoch seconds: of the frame, and of the snapshot it shows."""
    return {"now": words.epoch(data["now"]), "taken": words.epoch(data["taken_at"])}
