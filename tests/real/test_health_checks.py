"""The check types against real servers on loopback, the misbehaving ones included."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.health.checks import build
from oatie_ops.health.checks.base import Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.runner import run_check
from oatie_ops.health.threads import CheckThreads
from tests.real.waiting import PATIENCE_SECONDS

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Handler = Callable[[Reader, Writer], Awaitable[None]]
SHORT_SECONDS = 0.4


def measured(
    kind: str,
    options: dict[str, Any],
    *,
    server: Handler | None = None,
    timeout_seconds: float = PATIENCE_SECONDS,
    root: Path = Path("/"),
    tls: ssl.SSLContext | None = None,
    threads: Callable[[], CheckThreads] = CheckThreads,
) -> Result:
    """One run of a check; ``{port}`` in its options is the port of ``server``."""

    async def main() -> Result:
        async with serving(server, tls) as port:
            filled = {k: v.format(port=port) if isinstance(v, str) else v for k, v in options.items()}
            tools = Tools(Settings(root=root), threads(), root)
            spec = CheckSpec("db", kind, kind, filled, timeout_seconds=timeout_seconds)
            return await run_check(build(spec, tools), spec, Status.UNKNOWN)

    return asyncio.run(main())


@asynccontextmanager
async def serving(handler: Handler | None, tls: ssl.SSLContext | None = None) -> Any:
    if handler is None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            yield unused.getsockname()[1]
        return
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(raw: bytes) -> Handler:
    async def handler(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return handler


async def silent(reader: Reader, writer: Writer) -> None:
    await asyncio.Event().wait()


URL = {"url": "http://127.0.0.1:{port}/ready"}
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


# --- http -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "status", "says"),
    [
        (OK, Status.PASS, "answers 200"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Status.PASS, "204"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", Status.PASS, "200"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK, Status.PASS, "200"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", Status.FAIL, "503"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            Status.PASS,
            "200",
        ),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Status.FAIL, "answers 404 (wanted 200-299)"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", Status.FAIL, "cut short"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
            Status.FAIL,
            "cut short",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Status.FAIL, "not HTTP"),
        (b"", Status.FAIL, "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\n", Status.FAIL, "cut short"),
    ],
)
def test_http_answer_is_judged_by_what_it_is(raw: bytes, status: Status, says: str) -> None:
    result = measured("http", URL, server=answering(raw))
    assert result.status is status
    assert says in result.output
    assert result.duration_seconds > 0


def test_http_server_that_accepts_and_never_answers_fails_at_the_deadline() -> None:
    result = measured("http", URL, server=silent, timeout_seconds=SHORT_SECONDS)
    assert result.status is Status.FAIL
    assert result.output == f"timed out after {SHORT_SECONDS:g} s while waiting for the answer"


@pytest.mark.parametrize(
    ("head", "drop", "while_"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x: 1\r\n", "waiting for the answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"x", "reading the body"),
    ],
    ids=["headers", "body"],
)
def test_http_server_that_drips_cannot_hold_a_check_beyond_its_deadline(
    head: bytes, drop: bytes, while_: str
) -> None:
    async def drip(reader: Reader, writer: Writer) -> None:
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.01)

    result = measured("http", URL, server=drip, timeout_seconds=SHORT_SECONDS)
    assert (result.status, while_ in result.output) == (Status.FAIL, True)


def test_endless_headers_are_cut_off() -> None:
    async def flood(reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x: " + b"y" * 8000 + b"\r\n")
            await writer.drain()

    result = measured("http", URL, server=flood)
    assert (result.status, "headers" in result.output) == (Status.FAIL, True)


def test_body_of_a_gigabyte_is_neither_read_nor_kept() -> None:
    sent = 0

    async def gigabyte(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
        chunk = bytes(65536)
        while sent < 1073741824:
            writer.write(chunk)
            await writer.drain()
            sent += len(chunk)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = measured("http", URL, server=gigabyte)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert result.status is Status.PASS
    # What the kernel's socket buffers take is all that a bounded reader lets through.
    assert sent < 64 * 1024 * 1024
    assert grown < 64 * 1024 * (1024 if sys.platform == "darwin" else 1)


def test_reset_connection_is_told_as_such() -> None:
    async def reset(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    result = measured("http", URL, server=reset)
    assert result.status is Status.FAIL
    assert "reset" in result.output


def test_nothing_listening_is_refused_with_the_address() -> None:
    result = measured("http", URL)
    assert result.status is Status.FAIL
    assert "127.0.0.1:" in result.output
    assert "connection refused" in result.output


def redirecting(location: bytes) -> Handler:
    async def handler(reader: Reader, writer: Writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /there "):
            writer.write(OK)
        else:
            writer.write(b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: " + location + b"\r\n\r\n")
        await writer.drain()

    return handler


def test_redirect_is_no_answer_and_its_secrets_are_not_shown() -> None:
    result = measured("http", URL, server=redirecting(b"https://u:pw@login.example/in?token=hunter2"))
    assert result.status is Status.FAIL
    assert "answers 302 and points to https://login.example/in " in result.output
    assert "hunter2" not in result.output
    assert "pw" not in result.output


def test_what_a_server_sends_cannot_write_to_the_terminal() -> None:
    location = "/\x1b[31mred\u202e/".encode().replace(b"\x1b", b"%1b") + b"x" * 9000 + b"\xc2\x9b2J"
    result = measured("http", URL, server=redirecting(location))
    assert result.status is Status.FAIL
    assert result.output.isprintable()
    assert len(result.output) <= 500


def test_redirect_is_followed_when_asked_for() -> None:
    result = measured("http", URL | {"redirects": True}, server=redirecting(b"/there"))
    assert result.status is Status.PASS


@pytest.mark.parametrize(
    ("location", "says"),
    [(b"/ready", "more than 5 redirects"), (b"file:///etc/passwd", "redirects to no http address")],
)
def test_redirects_that_lead_nowhere_fail(location: bytes, says: str) -> None:
    result = measured("http", URL | {"redirects": True}, server=redirecting(location))
    assert (result.status, says in result.output) == (Status.FAIL, True)


def test_credentials_are_sent_to_their_own_server_only_and_shown_to_nobody() -> None:
    seen: list[bytes] = []

    async def main() -> Result:
        async def other(reader: Reader, writer: Writer) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(OK)
            await writer.drain()

        async with serving(other) as other_port:

            async def first(reader: Reader, writer: Writer) -> None:
                seen.append(await reader.readuntil(b"\r\n\r\n"))
                location = f"http://127.0.0.1:{other_port}/".encode()
                writer.write(b"HTTP/1.1 307 T\r\ncontent-length: 0\r\nlocation: " + location + b"\r\n\r\n")
                await writer.drain()

            async with serving(first) as port:
                options = {
                    "url": f"http://me:hunter2@127.0.0.1:{port}/?key=sesame",
                    "headers": {"X-Key": "sesame"},
                    "redirects": True,
                }
                tools = Tools(Settings(root=Path("/")), CheckThreads(), Path("/"))
                spec = CheckSpec("db", "http", "http", options)
                return await run_check(build(spec, tools), spec, Status.UNKNOWN)

    result = asyncio.run(main())
    assert result.status is Status.PASS
    assert b"Authorization: Basic bWU6aHVudGVyMg==" in seen[0]
    assert b"X-Key: sesame" in seen[0]
    assert b"Authorization" not in seen[1]
    assert b"sesame" not in seen[1]
    assert "hunter2" not in result.output
    assert "sesame" not in result.output


def test_head_does_not_wait_for_the_body_that_the_headers_announce() -> None:
    raw = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    assert measured("http", URL | {"method": "HEAD"}, server=answering(raw)).status is Status.PASS


def own_certificate(directory: Path) -> ssl.SSLContext:
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=127.0.0.1"
    )
    subprocess.run(make.split(), cwd=directory, check=True, capture_output=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    return tls


def test_untrusted_certificate_fails_and_says_so(tmp_path: Path) -> None:
    options = {"url": "https://127.0.0.1:{port}/"}
    result = measured("http", options, server=answering(OK), tls=own_certificate(tmp_path))
    assert result.status is Status.FAIL
    assert "certificate is not trusted" in result.output


def test_https_to_a_server_without_tls_fails_and_says_so() -> None:
    options = {"url": "https://127.0.0.1:{port}/"}
    result = measured("http", options, server=answering(OK), timeout_seconds=SHORT_SECONDS)
    assert result.status is Status.FAIL
    assert "TLS" in result.output or "timed out" in result.output


def test_certificate_is_not_asked_about_where_that_was_turned_off(tmp_path: Path) -> None:
    options = {"url": "https://127.0.0.1:{port}/", "verify_tls": False}
    result = measured("http", options, server=answering(OK), tls=own_certificate(tmp_path))
    assert result.status is Status.PASS


@pytest.mark.parametrize(("text", "status"), [("ok", Status.PASS), ("okay", Status.FAIL)])
def test_body_must_hold_the_text_asked_for(text: str, status: Status) -> None:
    assert measured("http", URL | {"contains": text}, server=answering(OK)).status is status


def test_text_beyond_what_is_read_counts_as_missing() -> None:
    raw = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000 + b"needle"
    result = measured("http", URL | {"contains": "needle"}, server=answering(raw))
    assert (result.status, "first 64 KiB" in result.output) == (Status.FAIL, True)


def test_path_is_asked_for_on_the_application_itself(tmp_path: Path) -> None:
    async def main() -> Result:
        async with serving(redirecting(b"/")) as port:
            settings = Settings(root=tmp_path, app=AppSettings(host="0.0.0.0", port=port))
            tools = Tools(settings, CheckThreads(), tmp_path)
            spec = CheckSpec("api", "http", "http", {"type": "http", "path": "/there"})
            return await run_check(build(spec, tools), spec, Status.UNKNOWN)

    assert asyncio.run(main()).status is Status.PASS


# --- tcp --------------------------------------------------------------------------------------------


def test_tcp_passes_for_whoever_takes_the_connection() -> None:
    options = {"url": "tcp://127.0.0.1:{port}"}
    assert measured("tcp", options, server=silent).status is Status.PASS


def test_tcp_by_name_reaches_a_server_on_one_of_its_addresses() -> None:
    result = measured("tcp", {"url": "tcp://localhost:{port}"}, server=silent)
    assert result.status is Status.PASS


def test_tcp_fails_where_nothing_listens() -> None:
    result = measured("tcp", {"url": "tcp://127.0.0.1:{port}"})
    assert (result.status, "connection refused" in result.output) == (Status.FAIL, True)


def test_name_that_does_not_exist_fails_with_the_name() -> None:
    result = measured("tcp", {"host": "no-such-host.invalid", "port": 1}, timeout_seconds=20)
    assert result.status is Status.FAIL
    assert "no-such-host.invalid" in result.output


def test_connection_request_that_nobody_takes_fails_at_the_deadline() -> None:
    """A listener whose backlog is full drops further requests, as a firewall would."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            result = measured("tcp", {"host": "127.0.0.1", "port": port}, timeout_seconds=SHORT_SECONDS)
        finally:
            for filler in fillers:
                filler.close()
    assert result.status is Status.FAIL
    assert f"connecting to 127.0.0.1:{port}" in result.output


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_no_connection_is_left_open_however_a_check_ends() -> None:
    async def reset(_reader: Reader, writer: Writer) -> None:
        writer.transport.abort()

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def check_often(server: Handler | None) -> None:
        before = descriptors()
        async with serving(server) as port:
            tools = Tools(Settings(root=Path("/")), CheckThreads(), Path("/"))
            for kind in ("http", "tcp") * 10:
                options = {"url": f"{kind}://127.0.0.1:{port}/"}
                spec = CheckSpec("db", kind, kind, options, timeout_seconds=0.05)
                await run_check(build(spec, tools), spec, Status.UNKNOWN)
        async with asyncio.timeout(20):  # the other ends belong to this process, too
            while descriptors() > before:
                await asyncio.sleep(0.01)

    for server in (None, answering(OK), silent, reset):
        asyncio.run(check_often(server))


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_address_of_version_6_is_reached(kind: str) -> None:
    async def main() -> Result:
        try:
            server = await asyncio.start_server(answering(OK), "::1", 0)
        except OSError:
            pytest.skip("only on machines with IPv6")
        port = server.sockets[0].getsockname()[1]
        tools = Tools(Settings(root=Path("/")), CheckThreads(), Path("/"))
        spec = CheckSpec("db", kind, kind, {"url": f"{kind}://[::1]:{port}/"}, timeout_seconds=20)
        try:
            return await run_check(build(spec, tools), spec, Status.UNKNOWN)
        finally:
            server.close()

    result = asyncio.run(main())
    assert result.status is Status.PASS, result.output


# --- host and processes -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["disk", "memory", "cpu"])
def test_host_is_measured(kind: str, tmp_path: Path) -> None:
    result = measured(kind, {}, root=tmp_path)
    assert result.status in (Status.PASS, Status.WARN, Status.FAIL)
    assert result.observed_unit == "percent"
    assert result.observed_value is not None
    assert 0 <= result.observed_value <= 100


def test_disk_that_is_not_there_fails(tmp_path: Path) -> None:
    result = measured("disk", {"path": str(tmp_path / "gone")})
    assert result.status is Status.FAIL


def test_process_is_found_by_its_pid_file_while_it_lives(tmp_path: Path) -> None:
    pid_file = tmp_path / "it.pid"
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        pid_file.write_text(f"{process.pid}\n")
        assert measured("process", {"pid_file": str(pid_file)}).status is Status.PASS
    finally:
        process.kill()
    # Ended but not yet waited for: a zombie does no work.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert measured("process", {"pid_file": str(pid_file)}).status is Status.FAIL
    process.wait()
    assert measured("process", {"pid_file": str(pid_file)}).status is Status.FAIL


def test_pid_file_that_is_missing_or_broken_is_told_apart(tmp_path: Path) -> None:
    assert measured("process", {"pid_file": str(tmp_path / "none")}).status is Status.FAIL
    (tmp_path / "broken").write_text("not a number")
    assert measured("process", {"pid_file": str(tmp_path / "broken")}).status is Status.UNKNOWN


def test_process_by_a_name_that_nobody_has_fails() -> None:
    assert measured("process", {"name": "no-such-program-anywhere"}).status is Status.FAIL


# --- threads ----------------------------------------------------------------------------------------


def test_hung_call_costs_its_own_check_only_and_is_not_started_twice() -> None:
    release = threading.Event()
    started = []

    def hang() -> None:
        started.append(1)
        release.wait()

    async def main() -> list[Result]:
        threads = CheckThreads(limit=4)

        class Hanging:
            async def run(self, attempt: Any) -> Result:
                attempt.waiting_for = "asking a dead file system"
                await threads.call("hung", hang, attempt)
                raise AssertionError("it hangs")

        class Quick:
            async def run(self, attempt: Any) -> Result:
                return Result(Status.PASS, str(await threads.call("quick", lambda: 42, attempt)))

        spec = CheckSpec("s", "c", "c", timeout_seconds=0.1)
        return [
            await run_check(Hanging(), spec, Status.UNKNOWN),
            await run_check(Hanging(), spec, Status.UNKNOWN),
            await run_check(Quick(), CheckSpec("s", "q", "q", timeout_seconds=10), Status.UNKNOWN),
        ]

    try:
        first, second, quick = asyncio.run(main())
    finally:
        release.set()
    assert (first.status, second.status, quick.status) == (Status.FAIL, Status.FAIL, Status.PASS)
    assert "asking a dead file system" in first.output
    assert "has been hanging" in second.output
    assert len(started) == 1


def test_check_that_got_no_thread_is_unknown_not_failed() -> None:
    release = threading.Event()

    async def main() -> Result:
        threads = CheckThreads(limit=1)

        class Blocking:
            def __init__(self, key: str, work: Callable[[], Any]) -> None:
                self.key, self.work = key, work

            async def run(self, attempt: Any) -> Result:
                return Result(Status.PASS, str(await threads.call(self.key, self.work, attempt)))

        spec = CheckSpec("s", "c", "c", timeout_seconds=0.1)
        await run_check(Blocking("a", release.wait), spec, Status.UNKNOWN)
        return await run_check(Blocking("b", lambda: 1), spec, Status.UNKNOWN)

    try:
        result = asyncio.run(main())
    finally:
        release.set()
    assert result.status is Status.UNKNOWN
    assert "waiting for a free thread" in result.output


def test_hung_thread_does_not_keep_the_process_from_exiting() -> None:
    script = (
        "import asyncio, threading\n"
        "from oatie_ops.health.attempt import Attempt\n"
        "from oatie_ops.health.threads import CheckThreads\n"
        "async def main():\n"
        "    try:\n"
        "        async with asyncio.timeout(0.1):\n"
        "            await CheckThreads().call('x', threading.Event().wait, Attempt())\n"
        "    except TimeoutError:\n"
        "        print('gave up')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "gave up\n"
    assert done.stderr == ""


def test_crash_of_a_check_is_unknown_and_does_not_show_its_message() -> None:
    class Broken:
        async def run(self, attempt: Any) -> Result:
            raise RuntimeError("password=hunter2")

    spec = CheckSpec("s", "c", "c")
    result = asyncio.run(run_check(Broken(), spec, Status.PASS))
    assert result.status is Status.UNKNOWN
    assert "hunter2" not in result.output
