"""`oatie health` as a user runs it: against a supervisor's socket, and without one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from oatie_ops.api.services import ops_services
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.embedded import EmbeddedServer
from oatie_ops.supervisor.options import OpsServices
from tests.real import ops_view
from tests.real.waiting import run


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


async def oatie(directory: Path, *arguments: str) -> Done:
    environ = {k: v for k, v in os.environ.items() if k not in ("OATIE_HOME", "FORCE_COLOR", "CI")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "oatie_ops",
        "health",
        *arguments,
        cwd=directory,
        env={**environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUTF8": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Done(process.returncode or 0, out.decode(), err.decode())


class View(ops_view.View):
    ready = "/"


@contextlib.asynccontextmanager
async def supervised(view: View, services: OpsServices | None = None) -> AsyncIterator[None]:
    """The ops API on the project's control socket, and its checks."""
    services = services or ops_services(view)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(view.paths.control_socket))
    sock.listen(64)
    server = EmbeddedServer(services.trusted, sock)
    tasks = [asyncio.ensure_future(server.run_until_told()), asyncio.ensure_future(services.run())]
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        view.paths.control_socket.unlink(missing_ok=True)


async def application() -> tuple[asyncio.Server, int]:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def configured(directory: Path, app_port: int, extra: str = "") -> None:
    app = f'[app]\nrun = "main:app"\nport = {app_port}\nready = "/"\n'
    (directory / "oatie.toml").write_text(app + extra)


def check_of(port: int) -> dict[str, Any]:
    return {"type": "tcp", "port": port, "interval": 0.1, "rise": 1, "fall": 1}


async def settled(directory: Path, service: str) -> None:
    while (await oatie(directory, service, "--json")).json["status"] == "unknown":
        await asyncio.sleep(0.05)


def test_running_supervisor_is_asked(tmp_path: Path) -> None:
    async def work() -> None:
        app, port = await application()
        configured(tmp_path, port)
        view = View(tmp_path, port, db=check_of(port), mail=check_of(free_port()))
        async with supervised(view):
            for service in ("app", "db", "mail"):
                await settled(tmp_path, service)
            good = await oatie(tmp_path, "app", "db")
            assert (good.code, good.stderr) == (0, "")
            assert good.stdout.startswith("✓ healthy")
            assert "release 7, running" in good.stdout
            bad = await oatie(tmp_path)
            assert bad.code == 1
            assert bad.stdout.startswith("✗ failing  mail: 127.0.0.1:")
            document = (await oatie(tmp_path, "--json")).json
            assert (document["status"], document["supervised"], document["release"]) == ("fail", True, "7")
            ready = await oatie(tmp_path, "--group", "ready")
            assert (ready.code, ready.stdout.split()[:3]) == (0, ["✓", "healthy", "ready:"])
            live = await oatie(tmp_path, "--group", "live", "--json")
            assert live.json["status"] == "pass"
        app.close()

    run(work)


def test_without_a_supervisor_the_checks_are_run_once(tmp_path: Path) -> None:
    async def work() -> None:
        app, port = await application()
        check = f'check = {{ type = "tcp", port = {port} }}'
        configured(tmp_path, port, f"[services.db]\n{check}\n")
        good = await oatie(tmp_path, "db")
        assert (good.code, good.stderr) == (0, "")
        assert "no supervisor is running" in good.stdout
        # What answers on the application's port is not ours.
        not_ours = await oatie(tmp_path, "app", "db")
        assert not_ours.code == 1
        assert "not running" in not_ours.stdout
        assert "`oatie start` starts it" in not_ours.stdout
        assert (await oatie(tmp_path, "--group", "ready")).code == 1
        assert (await oatie(tmp_path, "--group", "live")).code == 1
        app.close()
        await app.wait_closed()
        bad = await oatie(tmp_path, "--json")
        assert (bad.code, bad.json["status"], bad.json["supervised"]) == (1, "fail", False)
        assert set(bad.json) == {*good_keys()}
        assert "connection refused" in bad.json["services"]["db"]["output"]

    run(work)


def good_keys() -> set[str]:
    """The shape of ``--json``, the same with and without a supervisor."""
    from oatie_ops.api.models import Running

    return {*Running.model_fields, "supervised", "schema"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["databse"], "did you mean database?"),
        (["--group", "ready", "app"], "leave out"),
        (["--timeout", "0"], "0.1"),
        (["--group", "nonsense"], "nonsense"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(tmp_path: Path, arguments: list[str], says: str) -> None:
    async def work() -> None:
        check = f'check = {{ type = "tcp", port = {free_port()} }}'
        configured(tmp_path, free_port(), f"[services.database]\n{check}\n")
        done = await oatie(tmp_path, *arguments)
        assert (done.code, done.stdout) == (2, "")
        assert says in done.stderr

    run(work)


def test_degraded_and_unknown_exit_3(tmp_path: Path) -> None:
    async def work() -> None:
        app, port = await application()
        job = 'check = { type = "heartbeat" }'
        disk = 'check = { type = "disk", warn = 0.0001, fail = 100 }'
        configured(tmp_path, port, f"[services.job]\n{job}\n[services.disk]\n{disk}\n")
        unknown = await oatie(tmp_path, "job")
        assert (unknown.code, unknown.stdout.startswith("? unknown  job:")) == (3, True)
        degraded = await oatie(tmp_path, "disk")
        assert (degraded.code, degraded.stdout.startswith("! degraded  disk:")) == (3, True)
        app.close()

    run(work)


def test_supervisor_that_is_still_starting_is_asked_again(tmp_path: Path) -> None:
    """Its socket answers before its checks are there; `oatie start && oatie health` must not fail."""
    asked = 0

    async def work() -> None:
        configured(tmp_path, free_port())
        view = View(tmp_path, free_port())
        services = ops_services(view)

        async def late(scope: Any, receive: Any, send: Any) -> None:
            nonlocal asked
            asked += 1
            if asked > 2:
                await services.trusted(scope, receive, send)
                return
            error = {"what": "the ops API is still starting", "data": {"retry_after_seconds": 1}}
            await JSONResponse({"error": error}, 503)(scope, receive, send)

        async with supervised(view, replace(services, trusted=late)):
            done = await oatie(tmp_path, "app", "--json")
        assert done.json["services"]["app"]["checks"]["http"]["checked_at"]

    run(work)
    assert asked > 2


def test_supervisor_that_does_not_answer_is_given_up_in_time(tmp_path: Path) -> None:
    async def work() -> None:
        configured(tmp_path, free_port())
        paths = StatePaths(tmp_path / ".oatie")
        paths.ensure()
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(paths.control_socket))
            silent.listen(8)
            done = await oatie(tmp_path, "--timeout", "0.3")
        assert done.code == 1
        assert "not answered in time" in done.stderr

    run(work)


@pytest.mark.parametrize("running", [True, False])
def test_maintenance_with_and_without_a_supervisor(tmp_path: Path, running: bool) -> None:
    async def work() -> None:
        port = free_port()
        check = f'check = {{ type = "tcp", port = {port} }}'
        configured(tmp_path, port, f"[services.db]\n{check}\n")
        view = View(tmp_path, port, db=check_of(port))
        async with contextlib.AsyncExitStack() as stack:
            if running:
                await stack.enter_async_context(supervised(view))
            begun = await oatie(tmp_path, "db", "--maintenance", "30m", "--reason", "new disk")
            assert (begun.code, begun.stderr) == (0, "")
            assert begun.stdout.startswith("maintenance of db until 20")
            ended = await oatie(tmp_path, "--maintenance", "off", "--json")
            assert (ended.code, ended.json) == (0, {"schema": "oatie.health.maintenance/v1", "ended": 1})
            wrong = await oatie(tmp_path, "--maintenance", "for a while")
            assert (wrong.code, wrong.stdout) == (2, "")
            wrong = await oatie(tmp_path, "dbb", "--maintenance", "1h")
            assert (wrong.code, "did you mean db?" in wrong.stderr) == (2, True)

    run(work)
