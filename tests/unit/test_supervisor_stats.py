"""The page that workers and supervisor share: what is counted, and that totals never go backwards."""

from __future__ import annotations

import asyncio
import os
from array import array
from collections.abc import Iterator
from typing import Any

import pytest

from oatie_ops.supervisor import stats
from oatie_ops.supervisor.observe import Observer
from oatie_ops.supervisor.stats import StatsPage, open_slot
from oatie_ops.traffic import totals
from oatie_ops.traffic.totals import Totals


@pytest.fixture
def page() -> Iterator[StatsPage]:
    page = StatsPage()
    yield page
    page.close()


def work(page: StatsPage, slot: int, requests: int, errors: int = 0) -> None:
    """As a worker publishes it: every request of this test took 2 ms."""
    own = open_slot(page.fd, slot)
    own[stats.REQUESTS], own[stats.ERRORS] = float(requests), float(errors)
    own[stats.TIMED], own[stats.SECONDS] = float(requests), requests * 0.002
    counts = [0] * totals.BUCKETS
    counts[1] = requests
    own[stats.FIRST_BUCKET :] = array("d", counts)


def test_page_adds_up_what_its_workers_counted(page: StatsPage) -> None:
    first, second = page.acquire(), page.acquire()
    work(page, first, 10, errors=1)
    work(page, second, 5)
    totals = page.totals()
    assert (totals.requests, totals.errors, totals.buckets[:3]) == (15, 1, (0, 15, 0))
    assert totals.busy_seconds == pytest.approx(0.03)


def test_totals_keep_what_ended_workers_counted(page: StatsPage) -> None:
    seen = [Totals()]
    for _ in range(4):
        slot = page.acquire()
        for requests in (3, 7):
            work(page, slot, requests)
            seen.append(page.totals())
        page.release(slot)
        seen.append(page.totals())
    counts = [totals.requests for totals in seen]
    assert counts == sorted(counts)
    assert (counts[-1], seen[-1].buckets[1]) == (28, 28)


def test_last_slot_ends_where_the_page_ends() -> None:
    page = StatsPage()
    slots = [page.acquire() for _ in range(stats.MAX_WORKERS)]
    work(page, max(slots), 1)
    assert page.totals().requests == 1
    assert os.fstat(page.fd).st_size == stats.PAGE_BYTES
    page.close()


def test_each_answer_lands_in_the_bucket_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    took = iter([0.0, 0.001, 0.0, 0.0011, 0.0, 0.3, 0.0, 60.0])
    monkeypatch.setattr("oatie_ops.supervisor.observe.time.perf_counter", lambda: next(took))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b"ok"})

    async def send(message: Any) -> None:
        return

    observer = Observer(application)

    async def ask() -> None:
        await observer({"type": "http", "headers": []}, None, send)  # type: ignore[arg-type]

    for _ in range(4):
        asyncio.run(ask())
    bounds = [*totals.LATENCY_BOUNDS_SECONDS, None]
    assert {bounds[i]: n for i, n in enumerate(observer.buckets) if n} == {
        0.001: 1,
        0.0025: 1,
        0.5: 1,
        None: 1,
    }
    assert observer.timed == 4
