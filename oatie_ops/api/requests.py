"""Counts the requests to the ops API itself, by route: never by the path, of which there is no end."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from oatie_ops.api.shield import Application, Message, Receive, Scope, Send
from oatie_ops.health.exposition import Page, labels
from oatie_ops.health.meter import BOUNDS_SECONDS

METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"})


class Requests:
    """Belongs to the event loop that the API is served by."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def add(self, route: str, method: str, code: int, seconds: float) -> None:
        self._counts[route, method if method in METHODS else "other", code] += 1
        buckets = self._buckets.setdefault(route, [0] * (len(BOUNDS_SECONDS) + 1))
        buckets[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def families(self, page: Page) -> Iterator[str]:
        yield from page.counter(
            "oatie_http_requests_total",
            "Requests to the ops API.",
            [(labels(route=r, method=m, code=str(c)), n) for (r, m, c), n in self._counts.items()],
        )
        yield from page.histogram(
            "oatie_http_request_duration_seconds",
            "How long the ops API took to answer.",
            BOUNDS_SECONDS,
            [(labels(route=r), counts, self._seconds[r]) for r, counts in self._buckets.items()],
        )


class Counted:
    """ASGI middleware around the router, which writes the route into the scope."""

    def __init__(self, application: Application, requests: Requests) -> None:
        self._application = application
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        began, code = time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal code
            code = message.get("status", code)
            await send(message)

        try:
            await self._application(scope, receive, counted)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._requests.add(route, scope["method"], code, time.perf_counter() - began)
