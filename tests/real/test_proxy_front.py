"""Programs of a host behind Caddy: no gap at a deploy, a bad release or a reload, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from oatie_ops.deployment.proxy.admin import Admin, CaddyFailed
from oatie_ops.deployment.proxy.caddy import Proxy, ProxyPlace
from oatie_ops.paths import StatePaths
from tests.real.harness import Project, ProjectMaker
from tests.real.loadrun import lost
from tests.real.waiting import free_port, need_program, port_answers, wait_for

# Of Debian: what `update-ca-certificates` takes in.
TRUST_STORE = Path("/usr/local/share/ca-certificates")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def program(make_project: ProjectMaker) -> Project:
    need_program("caddy")
    project = make_project("container.py")
    project.configure(
        app={"run": None, "command": ["python3", "container.py"], "workers": 1},
        deploy={"bake": "200ms"},
        proxy={
            "enabled": True,
            "admin": f"127.0.0.1:{free_port()}",
            "switch_directory": str(project.outputs / "switch"),
        },
        ops={"listen": "off"},
    )
    return project


def admin(project: Project) -> Admin:
    return Admin(project.config["proxy"]["admin"])


def test_a_program_behind_caddy_is_replaced_without_a_gap(program: Project) -> None:
    program.deployed("1")
    with program.load(new=6, keep=6, rate=200) as load:
        for version in ("2", "3", "4"):
            program.deployed(version)
            load.wait_for_release(version, 20)
        program.oatie("reload").expect(0)
        program.version("bad", exit_code=3)
        program.deploy().expect(7)
        program.version("sick", ready_status=503)
        program.configure(app={"ready_timeout": "6s"})
        program.deploy().expect(7)
        program.oatie("rollback", "--yes").expect(0)
        load.wait_for_release("3", 20)
        result = load.finish()
    assert not lost(result), lost(result)
    assert set(result["releases"]) == {"1", "2", "3", "4"}
    program.oatie("stop").expect(0)
    assert not port_answers(program.port)
    assert not admin(program).answers(), "a Caddy that was started for this ends with it"


SLOW_CADDY = """\
#!/bin/sh
while [ -e "$WAIT_FOR_GO" ]; do sleep 0.1; done
exec {caddy} "$@"
"""


def test_a_caddy_that_does_not_answer_yet_is_no_stray_one_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deploy that is interrupted while it starts: it cannot be asked to stop."""
    slow, wait = tmp_path / "bin" / "caddy", tmp_path / "wait"
    slow.parent.mkdir()
    slow.write_text(SLOW_CADDY.format(caddy=need_program("caddy")))
    slow.chmod(0o755)
    wait.touch()
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("WAIT_FOR_GO", str(wait))
    monkeypatch.setattr("oatie_ops.deployment.proxy.caddy.START_SECONDS", 1.0)
    paths = StatePaths(tmp_path / "state")
    paths.ensure()
    place = ProxyPlace(
        "proof", f"127.0.0.1:{free_port()}", "127.0.0.1", free_port(), str(tmp_path / "s"), "t"
    )
    proxy = Proxy(place, paths)
    try:
        with pytest.raises(CaddyFailed):
            proxy.install(lambda _: None)
        assert started(paths), "it goes on starting"
        proxy.undo_install()
        assert not started(paths)
    finally:
        wait.unlink()


def started(paths: StatePaths) -> list[int]:
    file = str(paths.home / "caddy" / "start.json")
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if file in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def test_a_program_that_crashes_is_found_again_by_caddy(program: Project) -> None:
    program.deployed("1")
    (worker,) = program.workers()
    os.kill(worker["pid"], signal.SIGKILL)
    wait_for(lambda: program.get("/") == 200, "the next process to answer", evidence=program.describe)
    assert {each["pid"] for each in program.workers()} != {worker["pid"]}


def test_the_plan_says_how_a_gap_is_closed(program: Project) -> None:
    program.configure(proxy={"enabled": None})
    program.deployed("1")
    program.version("2")
    gap = program.oatie("deploy", "--dry-run").expect(0)
    assert "enabled = true" in gap.said


def test_tls_of_caddys_own_authority_changes_no_trust_of_the_machine(
    program: Project, tmp_path: Path
) -> None:
    """The route with `tls = "internal"`, straight through `Proxy`, to a program that answers in clear."""
    trusted = set(TRUST_STORE.iterdir()) if TRUST_STORE.is_dir() else set()
    paths = StatePaths(tmp_path / "state")
    paths.ensure()
    place = ProxyPlace(
        key="proof",
        admin=program.config["proxy"]["admin"],
        host="127.0.0.1",
        port=program.port,
        switch_directory=str(tmp_path / "switch"),
        token="t",
        hosts=("shop.test",),
        tls="internal",
    )
    proxy = Proxy(place, paths)
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert proxy.problems() == []
            proxy.install(lambda _: None)
            proxy.promote("1", [server.server_port])
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with socket.create_connection(("127.0.0.1", program.port), timeout=30) as plain:
                secure = context.wrap_socket(plain, server_hostname="shop.test")
                secure.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
                assert b"200 OK" in secure.recv(4096)
        finally:
            proxy.uninstall()
            server.shutdown()
    assert not proxy.admin.answers()
    assert (set(TRUST_STORE.iterdir()) if TRUST_STORE.is_dir() else set()) == trusted


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass
