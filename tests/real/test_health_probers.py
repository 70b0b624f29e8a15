"""The health answers as the programs take them that steer traffic by them: HAProxy, Nagios' plugins, curl."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from oatie_ops.api.services import ops_services
from oatie_ops.supervisor.embedded import EmbeddedServer
from tests.real.test_health_command import View, application, check_of, free_port, run
from tests.real.waiting import need_program, wait_for

PLUGINS = "/usr/lib/nagios/plugins:/usr/lib/monitoring-plugins:/usr/local/libexec/nagios"


@contextlib.asynccontextmanager
async def ops_port(view: View):  # type: ignore[no-untyped-def]
    """The ops API on a TCP port, and its checks."""
    services = ops_services(view)
    sock = socket.create_server(("127.0.0.1", 0))
    server = EmbeddedServer(services.public, sock)
    tasks = [asyncio.ensure_future(server.run_until_told()), asyncio.ensure_future(services.run())]
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def listening(port: int) -> asyncio.Server:
    return await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)


def judged(tmp_path: Path, use: Callable[[int, Callable[[bool], None]], None]) -> None:
    """Runs ``use`` with the port of an ops API and a switch for the service that decides its health."""

    async def work() -> None:
        app, app_port = await application()
        db_port = free_port()
        loop = asyncio.get_running_loop()
        servers: list[asyncio.Server] = []

        async def switch(well: bool) -> None:
            if well:
                servers.append(await listening(db_port))
            else:
                servers.pop().close()

        def switch_soon(well: bool) -> None:
            asyncio.run_coroutine_threadsafe(switch(well), loop).result(10)

        async with ops_port(View(tmp_path, app_port, db=check_of(db_port))) as port:
            await asyncio.to_thread(use, port, switch_soon)
        app.close()

    run(work)


@pytest.mark.slow
def test_haproxy_takes_a_failing_backend_out_and_back_in(tmp_path: Path) -> None:
    haproxy = need_program("haproxy")

    def use(port: int, switch: Callable[[bool], None]) -> None:
        admin = tmp_path / "admin.sock"
        (tmp_path / "haproxy.cfg").write_text(
            f"global\n  stats socket {admin} mode 600\n"
            "defaults\n  mode http\n  timeout connect 2s\n  timeout client 2s\n  timeout server 2s\n"
            f"listen site\n  bind 127.0.0.1:{free_port()}\n"
            "  option httpchk\n  http-check send meth GET uri /health\n  http-check expect status 200-399\n"
            f"  server s1 127.0.0.1:{port} check inter 200ms fastinter 100ms rise 2 fall 2\n"
        )
        process = subprocess.Popen(
            [haproxy, "-f", str(tmp_path / "haproxy.cfg"), "-db"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def state() -> str:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(admin))
                sock.sendall(b"show stat\n")
                rows = sock.makefile().read().splitlines()
                row = next((row for row in rows if row.startswith("site,s1,")), "")
                return row.split(",")[17] if row else ""
            return ""

        try:
            wait_for(lambda: state() == "DOWN", "HAProxy to see the failure", evidence=state)
            switch(True)
            wait_for(lambda: state() == "UP", "HAProxy to see the recovery", evidence=state)
            switch(False)
            wait_for(lambda: state() == "DOWN", "HAProxy to see the next failure", evidence=state)
        finally:
            process.terminate()
            process.wait(timeout=30)

    judged(tmp_path, use)


def test_plugins_of_nagios_and_curl_agree_with_the_health(tmp_path: Path) -> None:
    plugin = shutil.which("check_http", path=PLUGINS)
    if plugin is None:
        need_program("check_http")  # skips, or in CI fails, with the reason
    assert plugin is not None

    def use(port: int, switch: Callable[[bool], None]) -> None:
        where = [
            "-I",
            "127.0.0.1",
            "-p",
            str(port),
            "-u",
            "/health",
            "-e",
            "200",
            "-s",
            '"status":"',
        ]  # a busy host is "warn"

        def plugin_code() -> int:
            return subprocess.run([plugin, *where, "-t", "5"], capture_output=True, check=False).returncode

        def curl_code() -> int:
            url = f"http://127.0.0.1:{port}/health/services/db"
            return subprocess.run(
                [need_program("curl"), "-fsS", url], capture_output=True, check=False
            ).returncode

        wait_for(lambda: (plugin_code(), curl_code()) == (2, 22), "both to fail")
        switch(True)
        wait_for(lambda: (plugin_code(), curl_code()) == (0, 0), "both to pass")

    judged(tmp_path, use)
