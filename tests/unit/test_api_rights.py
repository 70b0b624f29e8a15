"""Who may ask the ops API for what, and what comes of a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from oatie_ops.api import models
from oatie_ops.api.tokens import token_hash
from oatie_ops.errors import Locked
from oatie_ops.health.model import Status
from tests.unit.ops_world import DETAILS, PROBES, RESTART, TOKEN, Ops


@pytest.fixture
def ops(tmp_path: Path) -> Ops:
    return Ops(tmp_path)


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8000",
        "LOCALHOST",
        "127.0.0.1:8000",
        "[::1]:8000",
        "app.localhost",
        "10.0.0.5",
        "localhost.",
    ],
)
def test_own_names_and_plain_addresses_are_answered(ops: Ops, host: str) -> None:
    assert ops.get("/health/detailed", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost:80:80",
        "",
        "[::1",
        "a b",
    ],
)
def test_name_of_another_site_is_refused_but_for_the_plain_words(ops: Ops, host: str) -> None:
    for path in DETAILS:
        answer = ops.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert models.Problem.model_validate(answer.json()).status == 421
    for path in PROBES:
        assert ops.get(path, headers={"Host": host}).status_code != 421


def test_name_in_ops_listen_is_our_own(tmp_path: Path) -> None:
    ops = Ops(tmp_path, listen="ops.example:8000")
    ops.set_token()
    headers = {"Host": "ops.example:8000", "Authorization": f"Bearer {TOKEN}"}
    assert ops.get("/health/detailed", headers=headers).status_code == 200


def test_details_need_a_token_where_others_can_reach_us(tmp_path: Path) -> None:
    ops = Ops(tmp_path, listen="0.0.0.0:8000")
    ops.set_token()
    for path in DETAILS:
        assert ops.get(path).status_code == 401
        assert ops.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert ops.get(path, trusted=True).status_code == 200
    page = ops.get("/health/dashboard/html")
    assert "Sign in to the dashboard" in page.text
    assert "<table" not in page.text
    for path in PROBES:
        assert ops.get(path).status_code != 401


def test_everybody_is_told_why_only_where_that_was_declared(tmp_path: Path) -> None:
    for told in (False, True):
        ops = Ops(tmp_path / str(told), listen="0.0.0.0:8000", public_details=told)
        ops.find("db", Status.FAIL, "no route to 10.0.0.7")
        answers = [ops.get(path) for path in PROBES]
        assert any("10.0.0.7" in answer.text for answer in answers) is told
        assert {answer.json().keys() == {"status"} for answer in answers} == ({True} if not told else {False})
        assert ops.get("/health/services/db").status_code == (503 if told else 401)
        assert ops.get(RESTART, method="POST").status_code == 401


@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong-token-of-some-length", "Basic YTpi", "Bearer", f"bearer{TOKEN}"]
)
def test_change_without_the_right_token_is_refused(ops: Ops, authorization: str | None) -> None:
    ops.set_token()
    headers = {"Authorization": authorization} if authorization else {}
    answer = ops.get(RESTART, method="POST", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert ops.view.reloads == []


def test_without_any_token_set_up_the_answer_says_how(ops: Ops) -> None:
    answer = ops.get(RESTART, method="POST", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 401
    assert "ops.token_file" in answer.json()["fix"]
    assert str(ops.token_file.parent) not in answer.text


@pytest.mark.parametrize("text", [f"sha256:{token_hash(TOKEN)}", TOKEN, f"# mine\n\n{TOKEN}"])
def test_token_from_the_file_is_accepted_at_once(ops: Ops, text: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert ops.get(RESTART, method="POST", headers=headers).status_code == 401
    ops.set_token(text)
    ops.view.finish.set()
    assert ops.get(RESTART, method="POST", headers=headers).status_code == 202
    ops.set_token("sha256:" + "0" * 64)
    assert ops.get(RESTART, method="POST", headers=headers).status_code == 401


@pytest.mark.parametrize(("text", "mode"), [(TOKEN, 0o644), (TOKEN, 0o660), ("tiny-token", 0o600)])
def test_unsafe_token_file_is_not_used_and_never_quoted(ops: Ops, text: str, mode: int) -> None:
    ops.set_token(text, mode)
    answer = ops.get(RESTART, method="POST", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 503
    assert text not in answer.text
    assert ops.view.reloads == []


def test_missing_client_address_earns_no_trust(ops: Ops) -> None:
    """A connection that is reset at once has no peer address, exactly as one over a Unix socket."""

    async def main() -> int:
        started: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                started.append(message["status"])

        scope = {
            "type": "http",
            "method": "POST",
            "path": RESTART,
            "raw_path": RESTART.encode(),
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "client": None,
            "oatie.trusted": True,
        }
        await ops.apps.public(scope, receive, send)
        return started[0]

    assert asyncio.run(main()) == 401
    assert ops.view.reloads == []


# --- restart ------------------------------------------------------------------------------------------


def test_what_the_owner_may_not_do_is_audited_too(ops: Ops) -> None:
    assert (
        ops.get("/health/services/nope/restart?reason=oops", method="POST", trusted=True).status_code == 404
    )
    assert ops.get("/health/services/nope", trusted=True).status_code == 404
    told = [(deed.actor, deed.origin, deed.subject, deed.result, deed.detail) for deed in ops.deeds]
    [(actor, origin, subject, result, detail)] = told
    assert (actor, origin, result) == ("owner", "control socket", "refused 404")
    assert (subject, detail) == ("POST /health/services/nope/restart", "there is no such service (oops)")


def test_restart_is_accepted_followed_and_audited(ops: Ops) -> None:
    async def use(client: httpx.AsyncClient) -> None:
        accepted = await client.post(RESTART, params={"reason": "new\nconfig"})
        assert accepted.status_code == 202
        where = accepted.headers["location"]
        assert (await client.get(where)).json()["state"] == "running"
        again = await client.post(RESTART)
        assert again.json()["id"] == accepted.json()["id"]
        ops.view.finish.set()
        while (await client.get(where)).json()["state"] == "running":
            await asyncio.sleep(0)
        assert (await client.get(where)).json()["state"] == "succeeded"

    ops.ask(use, trusted=True)
    assert ops.view.reloads == ["owner (new config)"]
    assert [(deed.actor, deed.action, deed.subject) for deed in ops.deeds] == [
        ("owner", "restart", "app")
    ] * 3
    assert ops.deeds[0].detail == "new\nconfig"
    assert ops.deeds[-1].result == "succeeded"


def test_failed_restart_tells_why(ops: Ops) -> None:
    ops.view.finish.set()
    ops.view.result = {"status": "failed", "error": {"what": "worker 3 is not ready", "why": "503"}}

    async def use(client: httpx.AsyncClient) -> None:
        where = (await client.post(RESTART)).headers["location"]
        while (await client.get(where)).json()["state"] == "running":
            await asyncio.sleep(0)
        ended = (await client.get(where)).json()
        assert (ended["state"], ended["error"]["what"]) == ("failed", "worker 3 is not ready")

    ops.ask(use, trusted=True)
    assert ops.deeds[-1].detail == "worker 3 is not ready"


def test_restart_that_is_refused_at_once_is_a_conflict(ops: Ops) -> None:
    ops.view.refusal = Locked("another switch is under way", why="release 8 is being baked")
    answer = ops.get(RESTART, method="POST", trusted=True)
    assert answer.status_code == 409
    assert (answer.json()["code"], answer.json()["why"]) == ("locked", "release 8 is being baked")


@pytest.mark.parametrize(("service", "status"), [("db", 409), ("nobody", 404)])
def test_what_cannot_be_restarted_says_so(ops: Ops, service: str, status: int) -> None:
    answer = ops.get(f"/health/services/{service}/restart", method="POST", trusted=True)
    assert answer.status_code == status


def test_too_long_a_reason_is_refused_without_repeating_it(ops: Ops) -> None:
    answer = ops.get(f"{RESTART}?reason={'x' * 501}", method="POST", trusted=True)
    assert answer.status_code == 422
    assert "xxx" not in answer.text
