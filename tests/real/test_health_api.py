"""The ops API on the supervisor's own server, over TCP and over the owner's Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from oatie_ops.api.context import Deed
from oatie_ops.api.recorder import Recorder
from oatie_ops.api.services import ops_services
from oatie_ops.api.tokens import token_hash
from oatie_ops.health.board import Change
from oatie_ops.health.model import Status
from oatie_ops.store import Store
from oatie_ops.supervisor.embedded import EmbeddedServer
from tests.real.ops_view import View
from tests.real.waiting import PATIENCE_SECONDS, run

TOKEN = "a-long-and-random-token"
FAST = {"interval": 0.1, "rise": 1, "fall": 1}


@contextlib.asynccontextmanager
async def serving(view: View) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """A client of the TCP listener and one of the Unix socket."""
    services = ops_services(view)
    tcp = socket.socket()
    tcp.bind(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(view.paths.control_socket))
    for sock in (tcp, unix):
        sock.listen(64)
    servers = [EmbeddedServer(services.public, tcp), EmbeddedServer(services.trusted, unix)]
    works = [server.run_until_told() for server in servers]
    tasks = [asyncio.ensure_future(work) for work in (*works, services.run())]
    port = tcp.getsockname()[1]
    over_unix = httpx.AsyncHTTPTransport(uds=str(view.paths.control_socket))
    try:
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as public,
            httpx.AsyncClient(
                transport=over_unix, base_url="http://localhost", timeout=PATIENCE_SECONDS
            ) as owner,
        ):
            yield public, owner
    finally:
        for server in servers:
            server.should_exit = server.force_exit = True
        tasks[-1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():
        await asyncio.sleep(0.02)


async def application(status: Callable[[], int]) -> tuple[asyncio.Server, int]:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status()} X\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def test_both_listeners_tell_what_the_checks_find(tmp_path: Path) -> None:
    async def work() -> None:
        app, port = await application(lambda: 200)
        view = View(tmp_path, port, web={"type": "http", "url": f"http://127.0.0.1:{port}/", **FAST})
        async with serving(view) as (public, owner):

            async def is_ready() -> bool:
                return (await public.get("/health/ready")).status_code == 200

            await until(is_ready)
            for client in (public, owner):
                services = (await client.get("/health/services")).json()["services"]
                assert services["app"]["status"] == "pass"
                assert services["app"]["checks"]["http"]["output"].endswith("/ready answers 200")
            assert (await public.get("/health/startup")).status_code == 200
            app.close()

            async def is_failing() -> bool:
                return (await public.get("/health")).status_code == 503

            await until(is_failing)

            async def is_refused() -> bool:
                # A connection that was under way when the application went is reset instead.
                return "connection refused" in (await public.get("/health/services/web")).json()["output"]

            await until(is_refused)
            assert (await public.get("/health/startup")).status_code == 200

    run(work)


def test_only_the_socket_and_the_token_may_restart(tmp_path: Path) -> None:
    async def work() -> None:
        app, port = await application(lambda: 200)
        view = View(tmp_path, port)
        token_file = view.paths.run / "ops-tokens"
        async with serving(view) as (public, owner):
            path = "/health/services/app/restart"
            assert (await public.post(path)).status_code == 401
            assert view.reloads == []
            assert (await owner.post(path)).status_code == 202
            token_file.write_text(f"sha256:{token_hash(TOKEN)}\n")
            token_file.chmod(0o600)
            accepted = await public.post(path, headers={"Authorization": f"Bearer {TOKEN}"})
            assert accepted.status_code == 202
        app.close()
        assert view.reloads == ["owner", f"token {token_hash(TOKEN)[:8]}"]
        with Store.open(view.paths.database) as store:
            lines = [(entry.actor, entry.action, entry.result) for entry in store.audit.recent()]
        assert ("owner", "restart", "requested") in lines
        assert ("owner", "restart", "succeeded") in lines
        assert TOKEN not in json.dumps(lines)

    run(work)


def test_answers_stay_quick_while_every_check_hangs(tmp_path: Path) -> None:
    """A request only reads the snapshot, so it is answered while 50 checks wait for a dead server."""

    async def work() -> None:
        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        dead = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = dead.sockets[0].getsockname()[1]
        web = {"type": "http", "url": f"http://127.0.0.1:{port}/", **FAST, "timeout": 3600}
        view = View(tmp_path, port, **{f"web{index}": web for index in range(50)})
        async with serving(view) as (public, _owner):
            answers = await asyncio.gather(*(public.get("/health/services") for _ in range(50)))
            assert {answer.status_code for answer in answers} == {200}
            assert (await public.get("/health/services/web7")).json()["output"] == "not checked yet"
            assert (await public.get("/health/live")).status_code == 200
        dead.close()

    run(work)


def test_changes_of_health_become_events(tmp_path: Path) -> None:
    async def work() -> None:
        app, port = await application(lambda: 200)
        view = View(tmp_path, port, db={"type": "tcp", "port": port, **FAST})
        async with serving(view) as (public, _owner):

            async def db_is(word: str) -> bool:
                return bool((await public.get("/health/services/db")).json()["status"] == word)

            await until(lambda: db_is("pass"))
            app.close()
            await until(lambda: db_is("fail"))
        with Store.open(view.paths.database) as store:
            told = [(e.subject, e.data["after"]) for e in store.events.recent() if e.subject == "db"]
        assert told == [("db", "fail"), ("db", "pass")]

    run(work)


def test_store_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state.db").mkdir()
    recorder = Recorder(tmp_path / "state.db")
    before = threading.active_count()
    for _ in range(3):
        recorder.audit(Deed("owner", "here", "restart", "app", "requested"))
    recorder.close()
    assert caplog.text.count("was not recorded") == 3
    assert threading.active_count() == before


def test_what_is_waiting_is_written_before_the_end(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "state.db")
    for index in range(20):
        recorder.change(Change("db", Status.PASS, Status.FAIL, f"reason {index}"))
    recorder.close(timeout_seconds=PATIENCE_SECONDS)
    with Store.open(tmp_path / "state.db") as store:
        assert len(store.events.recent(100)) == 20


def test_recorder_that_was_never_used_leaves_no_file(tmp_path: Path) -> None:
    Recorder(tmp_path / "state.db").close()
    assert list(tmp_path.iterdir()) == []


def test_maintenance_is_begun_with_a_token_seen_at_once_and_ended(tmp_path: Path) -> None:
    async def work() -> None:
        view = View(tmp_path, 1, db={"type": "tcp", "port": 1, **FAST})
        wanted = {"service": "db", "duration": "30m", "reason": "new disk"}
        async with serving(view) as (public, owner):

            async def db() -> Any:
                return (await public.get("/health/services/db")).json()

            async def covered() -> bool:
                return (await db())["maintenance"] is not None

            async def uncovered() -> bool:
                return not await covered()

            assert (await public.post("/health/maintenance", json=wanted)).status_code == 401
            begun = await owner.post("/health/maintenance", json=wanted)
            assert (begun.status_code, begun.json()["reason"]) == (201, "new disk")
            await until(covered)
            assert [w["service"] for w in (await public.get("/health/maintenance")).json()["windows"]] == [
                "db"
            ]
            assert (await public.delete("/health/maintenance?service=db")).status_code == 401
            assert (await owner.delete("/health/maintenance?service=db")).json() == {"ended": 1}
            await until(uncovered)
            for bad, code in (
                ({"service": "nobody"}, 404),
                ({"duration": "soon"}, 422),
                ({"duration": 0}, 422),
                ({"duration": "0s"}, 422),
                ({"duration": "99999999999d"}, 422),
                ({"duration": 1e300}, 422),
                ({"extra": 1}, 422),
            ):
                assert (await owner.post("/health/maintenance", json=bad)).status_code == code
        with Store.open(view.paths.database) as store:
            acts = [(entry.action, entry.subject, entry.result) for entry in store.audit.recent()]
        post = ("request", "POST /health/maintenance")
        assert acts == [
            *[(*post, "refused 422")] * 6,  # what the owner got wrong
            (*post, "refused 404"),
            ("maintenance", "db", "ended"),
            ("request", "DELETE /health/maintenance", "refused 401"),
            ("maintenance", "db", "begun"),
            ("request", "POST /health/maintenance", "refused 401"),
        ]

    run(work)


def test_history_outlives_the_supervisor(tmp_path: Path) -> None:
    async def work() -> None:
        view = View(tmp_path, 1, db={"type": "tcp", "port": 1, **FAST})
        async with serving(view) as (public, _owner):

            async def told() -> bool:
                found = (await public.get("/health/history?service=db")).json()["transitions"]
                return [change["after"] for change in found] == ["fail"]

            await until(told)
        view.paths.control_socket.unlink()
        async with serving(view) as (public, _owner):
            found = (await public.get("/health/history?service=db&since=1h&limit=5")).json()
            assert found["transitions"][-1]["after"] == "fail"
            assert (await public.get("/health/history?service=nobody")).status_code == 404
            assert (await public.get("/health/history?since=soon")).status_code == 422
            assert (await public.get("/health/history?limit=0")).status_code == 422
            view.paths.database.write_bytes(b"no database")
            broken = await public.get("/health/history")
            assert (broken.status_code, broken.json()["code"]) == (503, "service-unavailable")
            assert (await public.get("/health/live")).status_code == 200

    run(work)


def test_service_that_calls_in_is_alive(tmp_path: Path) -> None:
    async def work() -> None:
        view = View(tmp_path, 1, job={"type": "heartbeat", "interval": 0.1}, db={"type": "tcp", "port": 1})
        async with serving(view) as (public, owner):

            async def alive() -> bool:
                return bool((await public.get("/health/services/job")).json()["status"] == "pass")

            path = "/health/services/job/heartbeat"
            assert (await public.post(path)).status_code == 401
            assert (await owner.post(path)).status_code == 200
            await until(alive)
            assert (await owner.post(path.replace("job", "db"))).status_code == 409
            assert (await owner.post(path.replace("job", "nobody"))).status_code == 404
            assert (await owner.post(f"{path}?status=nonsense")).status_code == 422

    run(work)


def test_metrics_are_for_readers_and_in_the_format_they_ask_for(tmp_path: Path) -> None:
    async def work() -> None:
        view = View(tmp_path, 1)
        async with serving(view) as (public, _owner):
            plain = await public.get("/health/metrics")
            assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert 'oatie_http_requests_total{route="/health/metrics"' not in plain.text
            strict = await public.get("/health/metrics", headers={"Accept": "application/openmetrics-text"})
            assert strict.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
            assert strict.text.endswith("# EOF\n")
            assert strict.headers["content-encoding"] == "gzip"
            assert (
                'oatie_http_requests_total{route="/health/metrics",method="GET",code="200"} 1' in strict.text
            )

    run(work)


def test_metrics_tell_how_many_dashboards_are_connected(tmp_path: Path) -> None:
    def streams(page: str) -> str:
        return next(line for line in page.splitlines() if line.startswith("oatie_sse_clients "))

    async def main() -> None:
        async with serving(View(tmp_path, 1)) as (public, _):
            assert streams((await public.get("/health/metrics")).text) == "oatie_sse_clients 0"
            async with public.stream("GET", "/health/dashboard/events") as stream:
                await anext(stream.aiter_bytes())  # it has begun
                assert streams((await public.get("/health/metrics")).text) == "oatie_sse_clients 1"

            async def gone() -> bool:
                return streams((await public.get("/health/metrics")).text) == "oatie_sse_clients 0"

            await until(gone)

    run(main)
