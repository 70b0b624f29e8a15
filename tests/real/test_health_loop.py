"""The check loop and the one-shot run, with real targets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.settings import AppSettings, ServiceSettings, Settings
from oatie_ops.health.board import Change
from oatie_ops.health.loop import HealthLoop
from oatie_ops.health.model import Snapshot, Status
from oatie_ops.health.once import run_checks

DEADLINE_SECONDS = 90.0
FAST = {"interval": 0.1, "rise": 1, "fall": 1}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def settings(root: Path, app_port: int | None = None, **checks: dict[str, Any]) -> Settings:
    services = {name: ServiceSettings(name, check=check) for name, check in checks.items()}
    return Settings(
        root=root, app=AppSettings(port=app_port or free_port(), ready="/ready"), services=services
    )


def running() -> dict[str, Any]:
    return {"state": "running", "workers": [{"state": "serving"}], "app": {"url": None}}


def with_loop(loop: HealthLoop, use: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        task = asyncio.create_task(loop.run())
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await use()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def http_server(status: Callable[[], int], port: int = 0) -> tuple[asyncio.Server, int]:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status()} X\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", port)
    return server, server.sockets[0].getsockname()[1]


def status_of(snapshot: Snapshot, service: str) -> Status:
    return snapshot.services[service].status


def test_service_is_followed_down_and_up_and_each_change_told_once(tmp_path: Path) -> None:
    port = free_port()
    changes: list[Change] = []
    loop = HealthLoop(
        settings(tmp_path, web={"type": "http", "url": f"http://127.0.0.1:{port}/", **FAST}),
        tmp_path,
        running,
        on_change=changes.append,
    )
    answer = 200

    async def use() -> None:
        nonlocal answer
        server, _ = await http_server(lambda: answer, port)
        await until(lambda: status_of(loop.snapshot, "web") is Status.PASS)
        answer = 503
        await until(lambda: status_of(loop.snapshot, "web") is Status.FAIL)
        assert "answers 503" in loop.snapshot.services["web"].output
        server.close()
        await until(lambda: "refused" in loop.snapshot.services["web"].output)
        answer = 200
        server, _ = await http_server(lambda: answer, port)
        await until(lambda: status_of(loop.snapshot, "web") is Status.PASS)
        server.close()

    with_loop(loop, use)
    web = [(change.before, change.after) for change in changes if change.service == "web"]
    assert web[:3] == [
        (Status.UNKNOWN, Status.PASS),
        (Status.PASS, Status.FAIL),
        (Status.FAIL, Status.PASS),
    ]


def test_hanging_checks_delay_nobody_and_the_loop_stays_quick(tmp_path: Path) -> None:
    """Forty checks of a server that never answers, with time-outs of an hour; one good check goes on."""
    runs = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal runs
        runs += 1
        writer.close()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
        good = await asyncio.start_server(count, "127.0.0.1", 0)
        bad_url = f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}/"
        checks: dict[str, dict[str, Any]] = {
            f"bad{index}": {"type": "http", "url": bad_url, **FAST, "timeout": 3600} for index in range(40)
        }
        checks["good"] = {"type": "tcp", "port": good.sockets[0].getsockname()[1], **FAST}
        loop = HealthLoop(settings(tmp_path, **checks), tmp_path, running)
        task = asyncio.create_task(loop.run())
        async with asyncio.timeout(DEADLINE_SECONDS):
            await until(lambda: runs >= 10)
        assert status_of(loop.snapshot, "good") is Status.PASS
        assert status_of(loop.snapshot, "bad0") is Status.UNKNOWN
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for server in (hanging, good):
            server.close()

    asyncio.run(main())


def test_blocked_file_system_calls_do_not_stop_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a dead NFS server does to statvfs(2); no such server can be had here, so the call is replaced."""
    release = threading.Event()
    monkeypatch.setattr("oatie_ops.health.checks.disk.os.statvfs", lambda _path: release.wait())
    loop = HealthLoop(settings(tmp_path), tmp_path, running)

    async def use() -> None:
        system = lambda: {e.spec.name: e.state for e in loop.snapshot.services["system"].checks}  # noqa: E731
        await until(lambda: system()["disk"].status is Status.FAIL)
        assert system()["memory"].checked_at is not None
        assert "asking the file system" in loop.snapshot.services["system"].output

    try:
        with_loop(loop, use)
    finally:
        release.set()


def test_nudge_tells_a_lost_application_without_waiting_for_the_schedule(tmp_path: Path) -> None:
    now = running()
    loop = HealthLoop(settings(tmp_path), tmp_path, lambda: now)

    def workers() -> Status:
        return loop.snapshot.services["app"].checks[0].state.status

    async def use() -> None:
        await until(lambda: workers() is Status.PASS)
        now["state"], now["detail"] = "failed", "worker 1 exits with code 3 at once"
        loop.nudge("app")
        await until(lambda: workers() is Status.FAIL)
        assert "exits with code 3" in loop.snapshot.services["app"].output

    with_loop(loop, use)


def test_application_is_not_asked_before_its_workers_have_started(tmp_path: Path) -> None:
    now = {**running(), "state": "starting"}
    loop = HealthLoop(settings(tmp_path), tmp_path, lambda: now)

    async def use() -> None:
        await until(lambda: all(e.state.checked_at for e in loop.snapshot.services["app"].checks))
        assert status_of(loop.snapshot, "app") is Status.UNKNOWN
        assert loop.snapshot.started_at is None
        now["state"] = "running"
        await until(lambda: loop.snapshot.started_at)
        # Not ten seconds later, when its turn would come.
        await until(lambda: status_of(loop.snapshot, "app") is Status.FAIL)
        assert "connection refused" in loop.snapshot.services["app"].output

    with_loop(loop, use)


def test_listener_that_raises_does_not_stop_the_checks(tmp_path: Path) -> None:
    port = free_port()

    def listener(change: Change) -> None:
        raise RuntimeError("the store is full")

    loop = HealthLoop(
        settings(tmp_path, web={"type": "tcp", "port": port, **FAST}), tmp_path, running, on_change=listener
    )

    async def use() -> None:
        await until(lambda: status_of(loop.snapshot, "web") is Status.FAIL)
        server, _ = await http_server(lambda: 200, port)
        await until(lambda: status_of(loop.snapshot, "web") is Status.PASS)
        server.close()

    with_loop(loop, use)


def test_one_shot_run_measures_everything_side_by_side(tmp_path: Path) -> None:
    hanging = {"type": "tcp", "host": "127.0.0.1", "timeout": 30}
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        web = {"type": "http", "url": f"http://127.0.0.1:{listener.getsockname()[1]}/", "timeout": 30}
        declared = settings(
            tmp_path,
            web=web,
            db={**hanging, "port": listener.getsockname()[1]},
            store={"type": "telepathy"},
        )
        snapshot = run_checks(declared, tmp_path, timeout_seconds=0.5)
    assert status_of(snapshot, "db") is Status.PASS
    assert snapshot.services["web"].output.startswith("timed out after 0.5 s")
    assert status_of(snapshot, "store") is Status.UNKNOWN
    assert "not known" in snapshot.services["store"].output
    assert "not running" in snapshot.services["app"].output
    assert status_of(snapshot, "system") is not Status.UNKNOWN


def test_one_shot_run_of_one_service_brings_what_it_needs(tmp_path: Path) -> None:
    declared = settings(tmp_path, db={"type": "tcp", "port": free_port()}, other={"type": "tcp", "port": 1})
    services = {**declared.services, "reports": ServiceSettings("reports", needs=("db",))}
    snapshot = run_checks(replace(declared, services=services), tmp_path, only=["reports"])
    assert list(snapshot.services) == ["db", "reports"]
    assert status_of(snapshot, "reports") is Status.FAIL
    assert snapshot.services["reports"].output.startswith("needs db (fail)")
