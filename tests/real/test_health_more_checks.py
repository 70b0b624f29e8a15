"""TLS, DNS, JSON conditions, commands, containers, heartbeats, resources: each against the real thing."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import signal
import ssl
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from oatie_ops.config.settings import ServiceSettings, Settings
from oatie_ops.health.checks import build
from oatie_ops.health.checks.base import Tools
from oatie_ops.health.loop import HealthLoop
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.runner import run_check
from oatie_ops.health.threads import CheckThreads
from tests.real.databases import free_port
from tests.real.test_health_checks import answering, measured
from tests.real.test_health_loop import until, with_loop
from tests.real.waiting import PATIENCE_SECONDS

URL = {"url": "http://127.0.0.1:{port}/"}


def body(document: object, status: int = 200) -> bytes:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(raw)) + raw


# --- JSON conditions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "expect", "says"),
    [
        ({"queue": {"depth": 5}}, {"queue.depth": "< 100"}, ""),
        ({"error": "boom"}, {"queue_depth": "< 100"}, "queue_depth is missing (wanted < 100)"),
        ({"error": "boom"}, {"queue_depth": "> -1"}, "is missing"),
        ({"ratio": 0.95}, {"ratio": "> 0.9"}, ""),
        ({"ratio": 1.9}, {"ratio": "< 1.2"}, "is 1.9"),
        ({"depth": "5"}, {"depth": "< 100"}, 'is "5", which is no number'),
        ({"depth": None}, {"depth": "< 100"}, "no number"),
        ({"depth": True}, {"depth": "< 100"}, "no number"),
        ({"ok": True}, {"ok": True}, ""),
        ({"ok": 1}, {"ok": True}, "is 1 (wanted true)"),
        ({"state": "down"}, {"state": "!= down"}, 'is "down"'),
        ({"error": "boom"}, {"state": "!= down"}, "is missing"),
        ({"items": [{"n": 1}]}, {"items.0.n": 1}, ""),
        ({"items": []}, {"items.0.n": 1}, "is missing"),
        (b"<html>", {"a": 1}, "not JSON"),
        (b'{"depth": NaN}', {"depth": "< 100"}, "no number"),
        (b"[" * 5000, {"a": 1}, "not JSON"),
        ({"pad": "x" * 70_000, "a": 1}, {"a": 1}, "longer than 64 KiB"),
    ],
)
def test_json_conditions_fail_closed(document: object, expect: dict[str, Any], says: str) -> None:
    result = measured("http", URL | {"expect": expect}, server=answering(body(document)))
    assert result.status is (Status.FAIL if says else Status.PASS), result.output
    assert says in result.output


def test_condition_does_not_help_a_status_that_was_not_asked_for() -> None:
    result = measured("http", URL | {"expect": {"ok": True}}, server=answering(body({"ok": True}, 503)))
    assert (result.status, "503" in result.output) == (Status.FAIL, True)


def test_request_body_is_sent() -> None:
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head + await reader.readexactly(4))
        writer.write(body({}))
        await writer.drain()

    assert measured("http", URL | {"method": "POST", "body": "ping"}, server=handler).status is Status.PASS
    assert seen[0].endswith(b"ping")
    assert b"Content-Length: 4\r\n" in seen[0]


def test_redirect_to_another_host_fails_where_only_the_same_host_is_allowed() -> None:
    raw = b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: http://localhost:1/login\r\n\r\n"
    result = measured("http", URL | {"redirects": "same-host"}, server=answering(raw))
    assert result.status is Status.FAIL
    assert "redirects to another host: http://localhost:1/login" in result.output


def test_slow_answer_is_a_warning_where_that_was_asked_for(tmp_path: Path) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.write(body({}))
        await writer.drain()

    async def main() -> Result:
        server = await asyncio.start_server(slow, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        tools = Tools(Settings(root=tmp_path), CheckThreads(), tmp_path)
        spec = CheckSpec(
            "db", "http", "http", {"url": url}, timeout_seconds=PATIENCE_SECONDS, warn_after_seconds=0.02
        )
        return await run_check(build(spec, tools), spec, Status.UNKNOWN)

    result = asyncio.run(main())
    assert (result.status, "slowly" in result.output) == (Status.WARN, True)


# --- TLS ------------------------------------------------------------------------------------------------


@contextmanager
def authority(tmp_path: Path, days: float = 90, name: str = "localhost") -> Iterator[ssl.SSLContext]:
    """A server's context; the certificate of who signed it is in ca.pem."""
    ca = trustme.CA()
    until_then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    begun = until_then - datetime.timedelta(days=365)
    cert = ca.issue_cert(name, not_after=until_then, not_before=begun)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    yield context


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("days", "name", "extra", "status", "says"),
    [
        (90, "localhost", {}, Status.PASS, "expires in 90 days"),
        (5, "localhost", {}, Status.WARN, "expires in 5 days"),
        (5, "localhost", {"expiry_fail_days": 7}, Status.FAIL, "expires in 5 days"),
        (-2, "localhost", {}, Status.FAIL, "certificate is not trusted"),
        (90, "other.example", {}, Status.FAIL, "certificate is not trusted"),
        (90, "other.example", {"server_name": "other.example"}, Status.PASS, "TLSv1.3"),
        (-2, "other.example", {"verify_tls": False}, Status.PASS, "not verified"),
        (
            -2,
            "other.example",
            {"verify_tls": False, "expiry_warn_days": 7},
            Status.FAIL,
            "expired 2 days ago",
        ),
        (5, "other.example", {"verify_tls": False, "expiry_fail_days": 9}, Status.FAIL, "expires in 5 days"),
        (5, "other.example", {"verify_tls": False, "expiry_warn_days": 9}, Status.WARN, "expires in 5 days"),
        (
            90,
            "other.example",
            {"verify_tls": False, "expiry_warn_days": 9},
            Status.PASS,
            "expires in 90 days",
        ),
        (90, "localhost", {"ca_file": "absent.pem"}, Status.FAIL, "cannot be used"),
    ],
)
def test_tls_is_judged_by_the_certificate(
    tmp_path: Path, days: float, name: str, extra: dict[str, Any], status: Status, says: str
) -> None:
    with authority(tmp_path, days, name) as tls:
        port = free_port()
        result = _tls(tmp_path, port, tls, {"ca_file": "ca.pem"} | extra)
    assert result.status is status, result.output
    assert says in result.output


def _tls(
    tmp_path: Path,
    port: int,
    tls: ssl.SSLContext | None,
    extra: dict[str, Any],
    timeout_seconds: float = PATIENCE_SECONDS,
) -> Result:
    async def main() -> Result:
        server = await asyncio.start_server(silent, "127.0.0.1", port, ssl=tls)
        tools = Tools(Settings(root=tmp_path), CheckThreads(), tmp_path)
        options = {"host": "localhost", "port": port} | extra
        spec = CheckSpec("db", "tls", "tls", options, timeout_seconds=timeout_seconds)
        try:
            return await run_check(build(spec, tools), spec, Status.UNKNOWN)
        finally:
            server.close()

    return asyncio.run(main())


def test_tls_to_a_server_that_never_shakes_hands_fails_at_the_deadline(tmp_path: Path) -> None:
    result = _tls(tmp_path, free_port(), None, {"verify_tls": False}, timeout_seconds=0.5)
    assert (result.status, result.trouble) == (Status.FAIL, "timeout")


@pytest.mark.parametrize(("days", "status"), [(60, Status.PASS), (3, Status.WARN)])
def test_https_warns_of_a_certificate_that_is_about_to_expire(
    tmp_path: Path, days: float, status: Status
) -> None:
    with authority(tmp_path, days) as tls:
        options = {"url": "https://localhost:{port}/", "ca_file": "ca.pem"}
        result = measured("http", options, server=answering(body({})), tls=tls, root=tmp_path)
    assert result.status is status, result.output
    assert ("expires in 3 days" in result.output) is (status is Status.WARN)


# --- DNS ------------------------------------------------------------------------------------------------


def dns_answer(query: bytes, addresses: list[str], *, code: int = 0, truncated: bool = False) -> bytes:
    flags = 0x8180 | code | (0x0200 if truncated else 0)
    records = b"".join(
        b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes(map(int, address.split(".")))
        for address in addresses
    )
    return query[:2] + struct.pack("!HHHHH", flags, 1, len(addresses), 0, 0) + query[12:] + records


Reply = Callable[[bytes], list[bytes]]


def asked(
    reply: Reply,
    options: dict[str, Any],
    over_tcp: Callable[[bytes], bytes] | None = None,
    timeout_seconds: float = PATIENCE_SECONDS,
) -> Result:
    """One run against a name server of our own."""

    class Udp(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            for message in reply(data):
                self.transport.sendto(message, addr)

    async def tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        assert over_tcp is not None
        message = over_tcp(query)
        writer.write(len(message).to_bytes(2, "big") + message)
        await writer.drain()
        writer.close()

    async def main() -> Result:
        loop = asyncio.get_running_loop()
        while True:
            server = await asyncio.start_server(tcp, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            try:
                transport, _ = await loop.create_datagram_endpoint(Udp, local_addr=("127.0.0.1", port))
                break
            except OSError:
                server.close()  # somebody else has this port for UDP
        tools = Tools(Settings(root=Path("/")), CheckThreads(), Path("/"))
        filled = {"name": "api.example", "server": "127.0.0.1", "port": port} | options
        spec = CheckSpec("db", "dns", "dns", filled, timeout_seconds=timeout_seconds)
        try:
            return await run_check(build(spec, tools), spec, Status.UNKNOWN)
        finally:
            server.close()
            transport.close()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("reply", "options", "status", "says"),
    [
        (lambda q: [dns_answer(q, ["10.0.0.9"])], {}, Status.PASS, "10.0.0.9"),
        (lambda q: [dns_answer(q, ["10.0.0.9"])], {"expect": ["10.0.0.9"]}, Status.PASS, "10.0.0.9"),
        (lambda q: [dns_answer(q, ["10.0.0.8"])], {"expect": ["10.0.0.9"]}, Status.FAIL, "missing: 10.0.0.9"),
        (lambda q: [dns_answer(q, [])], {}, Status.FAIL, "no such record"),
        (lambda q: [dns_answer(q, [], code=3)], {}, Status.FAIL, "NXDOMAIN"),
        (lambda q: [dns_answer(q, [], code=2)], {}, Status.FAIL, "SERVFAIL"),
        (lambda q: [b"\0\0" + q[2:], dns_answer(q, ["10.0.0.9"])], {}, Status.PASS, "10.0.0.9"),
        (lambda q: [q], {}, Status.FAIL, "another question"),
        (lambda q: [q[:2] + b"\x81\x80\0\1"], {}, Status.FAIL, "cannot be read"),
        (lambda q: [dns_answer(q, ["10.0.0.9"])[:-2]], {}, Status.FAIL, "cut short"),
        (
            lambda q: [q[:2] + struct.pack("!HHHHH", 0x8180, 0, 1, 0, 0) + b"\xc0\x0c"],
            {},
            Status.FAIL,
            "circles",
        ),
    ],
)
def test_dns_is_judged_by_the_answer(
    reply: Reply, options: dict[str, Any], status: Status, says: str
) -> None:
    result = asked(reply, options)
    assert result.status is status, result.output
    assert says in result.output


def test_dns_server_that_never_answers_fails_at_the_deadline() -> None:
    result = asked(lambda query: [], {}, timeout_seconds=0.4)
    assert result.status is Status.FAIL
    assert "waiting for the name server" in result.output


def test_dns_asks_again_when_a_datagram_is_lost() -> None:
    seen: list[bytes] = []

    def second_time(query: bytes) -> list[bytes]:
        seen.append(query)
        return [dns_answer(query, ["10.0.0.9"])] if len(seen) > 1 else []

    assert asked(second_time, {}).status is Status.PASS


def test_dns_takes_a_truncated_answer_over_tcp() -> None:
    result = asked(
        lambda q: [dns_answer(q, [], truncated=True)],
        {"expect": ["10.0.0.9"]},
        lambda q: dns_answer(q, [f"10.0.0.{n}" for n in range(20)]),
    )
    assert result.status is Status.PASS, result.output


def test_dns_server_that_is_not_there_fails() -> None:
    options = {"name": "a.example", "server": "127.0.0.1", "port": free_port()}
    assert measured("dns", options, timeout_seconds=1).status is Status.FAIL


# --- commands -------------------------------------------------------------------------------------------


def script(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "check.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    return ["/bin/sh", str(path)]


@pytest.mark.parametrize(
    ("text", "codes", "status", "says"),
    [
        ("echo all well", "plain", Status.PASS, "all well"),
        ("echo disk gone >&2; exit 7", "plain", Status.FAIL, "exited with 7: disk gone"),
        ("exit 1", "plain", Status.FAIL, "exited with 1"),
        ("kill -9 $$", "plain", Status.FAIL, "ended by signal 9"),
        ("echo 'OK - fine | load=1;2;3'", "nagios", Status.PASS, "OK - fine"),
        ("echo WARNING; exit 1", "nagios", Status.WARN, "WARNING"),
        ("echo CRITICAL; exit 2", "nagios", Status.FAIL, "CRITICAL"),
        ("echo UNKNOWN; exit 3", "nagios", Status.UNKNOWN, "UNKNOWN"),
        ("exit 42", "nagios", Status.UNKNOWN, "exited with 42"),
        ("cat", "plain", Status.PASS, "exited with 0"),
    ],
)
def test_command_is_judged_by_its_exit_code(
    tmp_path: Path, text: str, codes: str, status: Status, says: str
) -> None:
    result = measured("command", {"run": script(tmp_path, text), "exit_codes": codes}, root=tmp_path)
    assert result.status is status, result.output
    assert says in result.output
    assert "load=1" not in result.output


def test_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    run = script(tmp_path, f"sleep 600 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/child; wait")
    for seconds in (0.5, 5.0, 50.0):  # a busy machine may not get as far as the child in half a second
        result = measured("command", {"run": run}, timeout_seconds=seconds, root=tmp_path)
        assert (result.status, result.trouble) == (Status.FAIL, "timeout")
        if (tmp_path / "child").exists():
            break
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 20
    while _lives(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_command_that_writes_without_end_is_bounded(tmp_path: Path) -> None:
    result = measured("command", {"run": script(tmp_path, "yes no")}, timeout_seconds=0.5, root=tmp_path)
    assert (result.status, result.trouble) == (Status.FAIL, "timeout")
    assert len(result.output) <= 500


@pytest.mark.parametrize("goes_on", ["sleep 600", "yes on and on"])
def test_what_a_command_leaves_running_does_not_hold_its_result_up(tmp_path: Path, goes_on: str) -> None:
    """In a session of its own, which ends with no group, and with the output open for as long as it lives."""
    (tmp_path / "daemon").write_text(
        f"echo $$ > {tmp_path}/new\nmv {tmp_path}/new {tmp_path}/pid\nexec {goes_on}\n"
    )
    start = f"import subprocess; subprocess.Popen(['sh', '{tmp_path}/daemon'], start_new_session=True)"
    text = (
        f"echo fine\n'{sys.executable}' -S -c \"{start}\"\nwhile [ ! -e {tmp_path}/pid ]; do sleep 0.05; done"
    )
    try:
        result = measured("command", {"run": script(tmp_path, text)}, timeout_seconds=60.0, root=tmp_path)
        assert (result.status, result.output) == (Status.PASS, "fine")
    finally:
        with suppress(ProcessLookupError):  # who writes ends when nobody reads any more
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_command_that_does_not_exist_is_unknown(tmp_path: Path) -> None:
    result = measured("command", {"run": ["./absent"]}, root=tmp_path)
    assert (result.status, "cannot be run" in result.output) == (Status.UNKNOWN, True)


# --- containers -----------------------------------------------------------------------------------------


def test_container_is_judged_by_the_engines_answer(tmp_path: Path) -> None:
    """The Docker Engine API as documented, on a Unix socket; a real engine is used where there is one."""
    socket_path = tmp_path / "d.sock"
    state: dict[str, Any] = {}

    async def engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        known = head.startswith(b"GET /containers/db/json ")
        writer.write(body({"State": state}) if known else body({"message": "No such container"}, 404))
        await writer.drain()
        writer.close()

    def ask(container: str = "db") -> Result:
        async def main() -> Result:
            server = await asyncio.start_unix_server(engine, str(socket_path))
            tools = Tools(Settings(root=tmp_path), CheckThreads(), tmp_path)
            options = {"container": container, "socket": str(socket_path)}
            spec = CheckSpec("db", "docker", "docker", options)
            try:
                return await run_check(build(spec, tools), spec, Status.UNKNOWN)
            finally:
                server.close()

        return asyncio.run(main())

    def told(**fields: Any) -> tuple[Status, str]:
        state.clear()
        state.update(fields)
        result = ask()
        return result.status, result.output

    assert told(Status="running")[0] is Status.PASS
    assert told(Status="running", Health={"Status": "unhealthy"})[0] is Status.FAIL
    assert told(Status="running", Health={"Status": "starting"})[0] is Status.UNKNOWN
    status, output = told(Status="exited", ExitCode=137, OOMKilled=True)
    assert (status, "exited with 137, out of memory" in output) == (Status.FAIL, True)
    assert told(Status="paused")[0] is Status.FAIL
    assert told()[0] is Status.UNKNOWN
    assert ask("other").status is Status.FAIL
    socket_path.unlink()
    result = measured("docker", {"container": "db", "socket": str(socket_path)})
    assert result.status is Status.UNKNOWN


# --- heartbeats -----------------------------------------------------------------------------------------


def test_heartbeat_passes_while_it_comes_and_fails_in_silence(tmp_path: Path) -> None:
    check = {"type": "heartbeat", "every": 0.4, "grace": 0.2, "interval": 0.1, "rise": 1, "fall": 1}
    services = {"job": ServiceSettings("job", check=check)}
    loop = HealthLoop(Settings(root=tmp_path, services=services), tmp_path, dict)

    def job() -> Any:
        return loop.snapshot.services["job"]

    async def use() -> None:
        assert loop.beat("job")
        assert not loop.beat("system")
        await until(lambda: job().status is Status.PASS)
        await until(lambda: job().status is Status.FAIL)
        assert "silent for" in job().output
        loop.beat("job", Status.WARN, "3 rows skipped")
        await until(lambda: job().status is Status.WARN)
        assert "3 rows skipped" in job().output

    with_loop(loop, use)


# --- resources ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["load", "fds", "diskio", "network", "cpu", "memory", "disk"])
def test_resource_is_really_measured(kind: str, tmp_path: Path) -> None:
    result = measured(kind, {}, root=tmp_path)
    if kind == "diskio" and result.status is Status.UNKNOWN:
        assert "disks" in result.output, "a container without disks says so"
        return
    assert result.status is not Status.UNKNOWN, result.output
    assert result.observed_value is not None


@pytest.mark.parametrize("resource", ["cpu", "memory", "io"])
def test_pressure_is_measured_where_the_kernel_keeps_it(resource: str) -> None:
    result = measured("pressure", {"resource": resource})
    if Path("/proc/pressure").exists():
        assert result.observed_unit == "percent"
    else:
        assert (result.status, "pressure stall" in result.output) == (Status.UNKNOWN, True)


def test_limits_of_a_resource_are_obeyed(tmp_path: Path) -> None:
    full = measured("disk", {"path": ".", "warn": 0, "fail": 0}, root=tmp_path)
    assert full.status is Status.FAIL
    inodes = measured(
        "disk", {"path": ".", "warn": 100, "fail": 100, "inodes_warn": 0, "inodes_fail": 0}, root=tmp_path
    )
    assert inodes.status is Status.FAIL or os.statvfs(tmp_path).f_files == 0


def test_interface_or_disk_that_is_not_there_fails() -> None:
    assert measured("network", {"interface": "oatie9"}).status is Status.FAIL
    assert measured("diskio", {"device": "oatie9"}).status in (Status.FAIL, Status.UNKNOWN)
