"""The cache that is played beside the real answers, and the advice that is made of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from oatie_ops.scaling.advise_cache import FEWEST_WATCHED, advise_cache
from oatie_ops.scaling.observed import Facts
from oatie_ops.scaling.recommendation import Recommendation, Unknown
from oatie_ops.traffic import repeats
from oatie_ops.traffic.repeats import COUNTED, FIRST_LIFE, MOST_ENTRIES, WATCHED, Repeats

Headers = list[tuple[bytes, bytes]]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(
    seen: Repeats,
    path: str = "/",
    body: bytes = b"same",
    *,
    status: int = 200,
    answered: Headers | None = None,
    asked: Headers | None = None,
) -> None:
    """One GET whose answer comes in two parts."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def answer() -> None:
        scope = {"path": path, "query_string": b"", "headers": asked or []}
        passed = seen.watched(scope, send)
        await passed({"type": "http.response.start", "status": status, "headers": answered or []})
        await passed({"type": "http.response.body", "body": body[:1], "more_body": True})
        await passed({"type": "http.response.body", "body": body[1:]})

    asyncio.run(answer())
    assert b"".join(message.get("body", b"") for message in sent) == body


def life(seen: Repeats, index: int) -> tuple[float, float]:
    """Right and wrong hits of one life."""
    first = FIRST_LIFE + repeats.EACH_LIFE * index
    return seen.counts[first], seen.counts[first + 1]


def test_an_answer_that_comes_again_is_a_hit_of_each_life_that_reaches_so_far(clock: Clock) -> None:
    seen = Repeats(clock)
    for at in (0.0, 0.5, 5.0, 30.0):
        clock.now = 1000.0 + at
        ask(seen)
    assert seen.counts[WATCHED] == 4
    assert [life(seen, index) for index in range(3)] == [(1, 0), (2, 0), (3, 0)]


def test_an_answer_that_changed_is_a_wrong_hit(clock: Clock) -> None:
    seen = Repeats(clock)
    ask(seen, body=b"one")
    clock.now += 2
    ask(seen, body=b"two")
    assert [life(seen, index) for index in range(3)] == [(0, 0), (0, 1), (0, 1)]
    clock.now += 20
    ask(seen, body=b"two")
    assert life(seen, 1) == (0, 1), "expired, and kept anew"
    clock.now += 5
    ask(seen, body=b"two")
    assert life(seen, 1) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"answered": [(b"Set-Cookie", b"a=1")]},
        {"answered": [(b"cache-control", b"max-age=0, no-store")]},
        {"answered": [(b"Cache-Control", b"Private")]},
    ],
)
def test_what_must_not_be_kept_is_never_a_hit(clock: Clock, answer: dict[str, Any]) -> None:
    seen = Repeats(clock)
    for _ in range(3):
        ask(seen, **answer)
    assert seen.counts[WATCHED] == 3
    assert sum(seen.counts[FIRST_LIFE:]) == 0


def test_who_asks_as_somebody_else_hits_nothing(clock: Clock) -> None:
    seen = Repeats(clock)
    for user in (b"ann", b"bob"):
        ask(seen, asked=[(b"cookie", user)])
    assert life(seen, 2) == (0, 0)
    ask(seen, asked=[(b"cookie", b"ann"), (b"x-request-id", b"7")])
    assert life(seen, 2) == (1, 0)


def test_it_stays_small_and_watches_a_part_where_there_are_many_addresses(clock: Clock) -> None:
    seen = Repeats(clock)
    for number in range(6 * MOST_ENTRIES):
        clock.now += 0.001
        seen._left = repeats.MOST_PER_MINUTE
        ask(seen, f"/{number}")
        assert len(seen._kept) <= MOST_ENTRIES
    assert 0 < seen.counts[WATCHED] < 6 * MOST_ENTRIES


def test_only_so_many_are_watched_in_a_minute(clock: Clock) -> None:
    seen = Repeats(clock)
    for _ in range(repeats.MOST_PER_MINUTE + 10):
        ask(seen)
    assert seen.counts[WATCHED] == repeats.MOST_PER_MINUTE
    clock.now += 61
    ask(seen)
    assert seen.counts[WATCHED] == repeats.MOST_PER_MINUTE + 1


def counted(watched: int, *each: tuple[float, float, float]) -> Facts:
    """``each`` life: right hits, wrong ones, seconds saved of as many seconds as requests."""
    return Facts(repeats=(float(watched), float(watched), *(count for one in each for count in one)))


def test_the_life_that_saves_without_being_stale_is_advised_with_its_numbers() -> None:
    found = advise_cache(counted(1000, (200, 0, 200), (600, 3, 600), (700, 90, 700)))
    assert isinstance(found, Recommendation)
    assert found.value == 10.0
    assert found.title == "Keep answers to GET requests for 10 s"
    assert "60% of the time" in found.estimated_impact
    assert found.evidence.numbers["stale_share_of_hits_60s"] == pytest.approx(0.1139)
    # A shorter life that does nearly as much is better.
    shorter = advise_cache(counted(1000, (580, 0, 580), (600, 3, 600), (600, 0, 600)))
    assert isinstance(shorter, Recommendation)
    assert shorter.value == 1.0


def test_no_cache_is_an_answer_too() -> None:
    for each in ([(10, 0, 10)] * 3, [(0, 0, 0)] * 3, [(500, 100, 500)] * 3):
        found = advise_cache(counted(1000, *each))
        assert isinstance(found, Recommendation)
        assert found.value == 0.0
        assert "No cache" in found.title


def test_too_few_requests_say_nothing() -> None:
    few = advise_cache(Facts(repeats=(120.0, 1.0, *(0.0,) * (COUNTED - FIRST_LIFE))))
    assert isinstance(few, Unknown)
    assert few.needs == f"needs {FEWEST_WATCHED - 120} more of them"
    none = advise_cache(Facts())
    assert isinstance(none, Unknown)
    assert "oatie start" in none.needs
