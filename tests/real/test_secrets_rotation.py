"""A check that is refused looks once for newer credentials: a real server, real files as the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from oatie_ops.cli.filling import filled
from oatie_ops.config.load import load
from oatie_ops.health.checks import build
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.plan import plan
from oatie_ops.health.runner import run_check
from oatie_ops.health.threads import CheckThreads
from tests.real.secret_servers import Answer, HttpServer, Request, http_server

FILE = """
[app]
run = "main:app"
[secrets]
path = "vault"
[services.api.check]
type = "http"
url = "{url}/private"
headers = {{ Authorization = "Bearer ${{token}}" }}
"""
ACCEPTED = ["canary-first-token"]


@pytest.fixture
def server() -> Iterator[HttpServer]:
    def answer(request: Request) -> Answer:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return (200 if given == ACCEPTED[-1] else 401), {}, b""

    with http_server(answer) as found:
        yield found


@pytest.fixture
def check(server: HttpServer, tmp_path: Path) -> tuple[CheckSpec, Check]:
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "token").write_text(ACCEPTED[0])
    (tmp_path / "oatie.toml").write_text(FILE.format(url=server.url))
    settings = filled(load(tmp_path, environ={}, environment="local", use_cache=False)).settings
    services = {service.name: service for service in plan(settings, tmp_path, supervised=False)}
    [spec] = services["api"].checks
    return spec, build(spec, Tools(settings, CheckThreads(), tmp_path))


def looked(check: tuple[CheckSpec, Check], times: int = 1) -> list[Result]:
    spec, made = check

    async def look() -> list[Result]:
        return [await run_check(made, spec, Status.UNKNOWN) for _ in range(times)]

    return asyncio.run(look())


def test_after_a_rotation_the_first_refusal_brings_the_new_value(
    check: tuple[CheckSpec, Check], server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert looked(check)[0].status is Status.PASS
    monkeypatch.setattr(f"{__name__}.ACCEPTED", ["canary-second-token"])
    (tmp_path / "vault" / "token").write_text("canary-second-token")
    assert looked(check)[0].status is Status.PASS
    assert [r.headers["authorization"][-12:] for r in server.requests] == [
        "-first-token",
        "-first-token",
        "second-token",
    ]


def test_a_credential_that_stays_wrong_asks_the_store_once(
    check: tuple[CheckSpec, Check], server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.ACCEPTED", ["canary-other-token"])
    results = looked(check, times=3)
    assert {(result.status, result.refused) for result in results} == {(Status.FAIL, True)}
    assert len(server.requests) == 3


def test_a_store_that_has_it_no_more_is_told(
    check: tuple[CheckSpec, Check], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.ACCEPTED", ["canary-other-token"])
    (tmp_path / "vault" / "token").unlink()
    [result] = looked(check)
    assert "answers 401" in result.output
    assert "no newer credentials: there is no secret file" in result.output
    assert "canary" not in result.output
