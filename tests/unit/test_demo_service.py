"""The demo's answers, through its ASGI interface and a real SQLite file."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from oatie_ops.demo.app import Demo
from oatie_ops.demo.data import Ledger, data_directory
from oatie_ops.demo.web import MAX_BODY_BYTES


def answers(use: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Runs ``use`` with a client of a new demo, and closes the demo as a server would."""

    async def main() -> None:
        demo = Demo()
        transport = httpx.ASGITransport(app=demo)
        async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
            await use(client)
        await lifespan(demo)

    asyncio.run(main())


async def lifespan(demo: Demo) -> list[dict[str, Any]]:
    incoming = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await demo({"type": "lifespan"}, receive, send)
    return sent


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "data"
    monkeypatch.setenv("OATIE_DATA_DIR", str(directory))
    return directory


def test_front_page_lists_every_endpoint_without_script() -> None:
    async def use(client: httpx.AsyncClient) -> None:
        answer = await client.get("/")
        assert answer.status_code == 200
        for path in ("/ready", "/api/reports", "/api/slow", "/api/flaky"):
            assert path in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<script" not in answer.text

    answers(use)


def test_generated_report_is_listed_newest_first_and_found_by_id() -> None:
    async def use(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/reports")).json() == {"reports": []}
        first = await client.post("/api/reports")
        second = await client.post("/api/reports", json={"title": "Q1", "region": "north", "days": 7})
        assert (first.status_code, second.status_code) == (201, 201)
        assert list(second.json()["by_region"]) == ["north"]
        assert second.json()["total"] < first.json()["total"]
        assert (await client.get("/api/reports")).json() == {"reports": [second.json(), first.json()]}
        assert (await client.get("/api/reports?limit=1")).json() == {"reports": [second.json()]}
        assert (await client.get(second.headers["location"])).json() == second.json()

    answers(use)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/reports/1", None, 404),
        ("GET", "/api/reports/-1", None, 404),
        ("GET", "/api/reports/99999999999999999999999999", None, 404),
        ("GET", "/api/reports/%D9%A1", None, 404),
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/api/reports", None, 405),
        ("POST", "/api/reports", b"{", 400),
        ("POST", "/api/reports", b"[" * 60_000, 400),
        ("POST", "/api/reports", b"[]", 400),
        ("POST", "/api/reports", b'{"days": 0}', 422),
        ("POST", "/api/reports", b'{"days": true}', 422),
        ("POST", "/api/reports", b'{"region": ["north"]}', 422),
        ("POST", "/api/reports", b'{"title": ""}', 422),
        ("POST", "/api/reports", b"x" * (MAX_BODY_BYTES + 1), 413),
        ("GET", "/api/reports?limit=0", None, 422),
        ("GET", "/api/slow?seconds=nan", None, 422),
        ("GET", "/api/slow?seconds=31", None, 422),
        ("GET", "/api/slow?" + "a=1&" * 50, None, 400),
        ("POST", "/api/flaky", None, 422),
        ("POST", "/api/flaky?fail=yes", None, 422),
    ],
)
def test_bad_request_is_refused_with_problem_details(
    method: str, path: str, body: bytes | None, status: int
) -> None:
    async def use(client: httpx.AsyncClient) -> None:
        answer = await client.request(method, path, content=body)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert answer.json()["detail"]

    answers(use)


def test_wrong_method_names_the_right_ones() -> None:
    async def use(client: httpx.AsyncClient) -> None:
        assert (await client.put("/api/flaky")).headers["allow"] == "GET, POST, HEAD"

    answers(use)


def test_head_has_the_headers_of_get_and_no_body() -> None:
    async def use(client: httpx.AsyncClient) -> None:
        got, headed = await client.get("/ready"), await client.head("/ready")
        assert headed.content == b""
        assert headed.headers["content-length"] == got.headers["content-length"]

    answers(use)


def test_flaky_fails_while_switched_and_recovers() -> None:
    async def use(client: httpx.AsyncClient) -> None:
        assert (await client.get("/api/flaky")).status_code == 200
        await client.post("/api/flaky?fail=true")
        assert (await client.get("/api/flaky")).status_code == 500
        assert (await client.get("/ready")).status_code == 200
        await client.post("/api/flaky?fail=false")
        assert (await client.get("/api/flaky")).status_code == 200

    answers(use)


def test_slow_request_does_not_delay_another() -> None:
    async def use(client: httpx.AsyncClient) -> None:
        slow = asyncio.create_task(client.get("/api/slow?seconds=30"))
        assert (await client.get("/api/reports")).status_code == 200
        assert not slow.done()
        slow.cancel()

    answers(use)


def test_startup_fails_with_the_reason_when_data_cannot_be_opened(own_data: Path) -> None:
    own_data.write_text("a file where the directory should be")
    sent = asyncio.run(lifespan(Demo()))
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert str(own_data) in sent[0]["message"]


def test_lost_data_is_a_503_not_a_crash(own_data: Path) -> None:
    async def use(client: httpx.AsyncClient) -> None:
        own_data.mkdir()
        (own_data / "demo.db").write_bytes(b"no database at all" * 100)
        answer = await client.get("/ready")
        assert answer.status_code == 503
        assert "not a database" in answer.json()["detail"]
        (own_data / "demo.db").unlink()

    answers(use)


def test_fallback_data_directory_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    directory = data_directory({})
    assert directory.parent == tmp_path
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_fallback_data_directory_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"oatie-demo-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="OATIE_DATA_DIR"):
        data_directory({})


def test_processes_that_open_new_data_together_share_it(tmp_path: Path) -> None:
    """Six processes create one file at once; no report is lost and nobody is locked out."""
    script = (
        "import sys; from pathlib import Path; from oatie_ops.demo.data import Ledger\n"
        "sys.stdin.readline()\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "for _ in range(10): ledger.generate('t', None, 30)\n"
    )
    path = tmp_path / "shared.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert errors == [""] * 6
    ledger = Ledger(path)
    assert len(ledger.reports(100)) == 60
    ledger.close()


def test_importing_the_demo_loads_no_framework() -> None:
    script = (
        "import sys, oatie_ops.demo.app; heavy = {'starlette', 'fastapi', 'pydantic', 'httpx', 'psutil'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
