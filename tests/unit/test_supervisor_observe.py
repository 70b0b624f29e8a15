"""The layer between the server and the application counts each request once and lets clients leave."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from oatie_ops.supervisor.observe import Observer, RaisedCounter

logger = logging.getLogger("oatie.test.observe")


async def fine(scope: Any, receive: Any, send: Any) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"x-seen", str(scope["client"]).encode())],
        }
    )
    await send({"type": "http.response.body", "body": b"ok"})


async def fails(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 500, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def fails_and_raises(scope: Any, receive: Any, send: Any) -> None:
    await fails(scope, receive, send)
    raise ValueError("as Starlette does")


async def raises(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("answered by the server itself")


def ask(observer: Observer, headers: list[tuple[bytes, bytes]] | None = None) -> list[dict[str, Any]]:
    """One request as the server makes it: in a task of its own, an exception logged within it."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def serve() -> None:
        scope = {"type": "http", "headers": headers or [], "client": ("127.0.0.1", 5), "scheme": "http"}
        try:
            await observer(scope, None, send)  # type: ignore[arg-type]
        except ValueError:
            logger.exception("Exception in ASGI application")

    counter = RaisedCounter(observer)
    logger.addFilter(counter)
    try:
        asyncio.run(serve())
    finally:
        logger.removeFilter(counter)
    return sent


def test_a_good_answer_is_timed_and_is_no_error() -> None:
    observer = Observer(fine)
    ask(observer)
    assert (observer.errors, observer.timed) == (0, 1)
    assert observer.seconds > 0.0


def test_each_failed_request_is_one_error_however_it_shows() -> None:
    for application in (fails, fails_and_raises, raises):
        observer = Observer(application)
        ask(observer)
        ask(observer)
        assert observer.errors == 2, application.__name__


def test_while_draining_each_answer_tells_the_client_to_leave() -> None:
    observer = Observer(fine)
    assert (b"connection", b"close") not in ask(observer)[0]["headers"]
    observer.draining = True
    assert (b"connection", b"close") in ask(observer)[0]["headers"]


def test_under_heavy_load_nothing_is_timed_and_errors_still_count() -> None:
    observer = Observer(fails)
    observer.timing = False
    ask(observer)
    assert (observer.errors, observer.timed) == (1, 0)


def test_the_clients_address_comes_from_a_trusted_proxy() -> None:
    sent = ask(Observer(fine), [(b"x-forwarded-for", b"203.0.113.9")])
    assert dict(sent[0]["headers"])[b"x-seen"] == b"('203.0.113.9', 0)"
