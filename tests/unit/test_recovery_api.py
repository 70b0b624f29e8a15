"""Recovery over HTTP, over ASGI with checks that find what the test says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from oatie_ops.health.model import Status
from oatie_ops.store import Store
from tests.unit.ops_world import TOKEN, Ops

RECOVER = "/api/performance/errors/services/db/recover"
DEADLINE_SECONDS = 90.0
LADDER = ({"run": ["true"], "settle": 0.0}, {"restart": "worker", "settle": 0.0})


@pytest.fixture
def ops(tmp_path: Path) -> Ops:
    made = Ops(tmp_path, recover=LADDER)
    made.view.finish.set()
    return made


def post(ops: Ops, path: str) -> tuple[httpx.Response, dict[str, Any]]:
    """The answer, and what became of the operation."""
    found: dict[str, Any] = {}
    answers = []

    async def use(client: httpx.AsyncClient) -> None:
        answer = await client.post(path)
        answers.append(answer)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while answer.status_code == 202:
                found.update((await client.get(answer.headers["location"])).json())
                if found["state"] != "running":
                    return
                await asyncio.sleep(0.01)

    ops.ask(use, trusted=True)
    return answers[0], found


def test_a_recovery_is_accepted_followed_proven_and_written_down(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    answer, done = post(ops, f"{RECOVER}?reason=disk%20was%20full")
    assert (answer.status_code, answer.json()["kind"]) == (202, "recover")
    assert done["state"] == "succeeded"
    assert [event["event"] for event in done["events"]] == ["acting", "acted", "proven", "result"]
    shown = ops.get("/api/performance/errors/recovery/history?service=db").json()["recoveries"]
    assert [(entry["outcome"], entry["reason"]) for entry in shown] == [("proven", "disk was full")]
    assert [entry["proof"] for entry in shown[0]["tries"]] == ["as measured"]
    ladder = ops.get("/api/performance/errors/recovery").json()["ladders"]["db"]
    assert (ladder["proven"], ladder["rungs"][0]["success_rate"]) == (1, 1.0)
    assert ladder["mean_seconds_to_repair"] is None, "it had not failed, so nothing was repaired"
    said = [(deed.actor, deed.action, deed.subject, deed.result) for deed in ops.deeds]
    assert said == [("owner", "recover", "db", "requested"), ("owner", "recover", "db", "succeeded")]
    with Store.open(ops.view.paths.database) as store:
        assert {event.kind for event in store.events.recent()} == {"recovery"}


def test_a_recovery_that_is_not_proven_has_failed_whatever_its_commands_said(ops: Ops) -> None:
    ops.find("db", Status.FAIL, "refused")
    _, done = post(ops, RECOVER)
    assert done["state"] == "failed"
    assert done["error"]["why"] == "after restart worker: refused"
    tries = done["events"][-1]["tries"]
    assert [(entry["rung"], entry["ok"], entry["proven"]) for entry in tries] == [
        (1, True, False),
        (2, True, False),
    ]
    assert ops.view.reloads == ["recovery of db (owner)"]


def test_it_may_begin_further_up(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    _, done = post(ops, f"{RECOVER}?from_rung=2")
    assert [event["rung"] for event in done["events"] if event["event"] == "acting"] == [2]


def test_restart_is_the_first_restart_of_the_ladder(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    answer, done = post(ops, "/health/services/db/restart")
    assert (answer.status_code, done["state"]) == (202, "succeeded")
    assert done["events"][0]["name"] == "restart worker"


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        (RECOVER.replace("db", "system"), 422, "[services.system] has no `recover`"),
        (RECOVER.replace("db", "nobody"), 404, "there is no such service"),
        (f"{RECOVER}?from_rung=3", 404, "there is no rung 3"),
        (f"{RECOVER}?from_rung=0", 422, "from_rung"),
        (f"{RECOVER}?reason={'x' * 501}", 422, "reason"),
        ("/health/services/system/restart", 409, "nothing is declared that restarts system"),
    ],
)
def test_what_cannot_be_recovered_says_so(ops: Ops, path: str, status: int, word: str) -> None:
    answer, _ = post(ops, path)
    assert answer.status_code == status
    assert word in json.dumps(answer.json(), ensure_ascii=False)
    assert "xxx" not in answer.text


def test_only_an_operator_may_recover(ops: Ops) -> None:
    ops.set_token()
    assert ops.get(RECOVER, method="POST").status_code == 401
    assert ops.view.reloads == []
    ops.all_are(Status.PASS)
    authorized = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    assert ops.get(RECOVER, method="POST", headers=authorized).status_code == 202


def test_nothing_recovered_yet_is_an_empty_history_without_a_database(ops: Ops) -> None:
    assert ops.get("/api/performance/errors/recovery/history").json()["recoveries"] == []
    assert ops.get("/api/performance/errors/recovery").status_code == 200
    assert not ops.view.paths.database.exists()


def test_metrics_are_there_from_the_start_and_count(ops: Ops) -> None:
    def page() -> str:
        return ops.get("/health/metrics").text

    assert 'oatie_recovery_attempts_total{service="db",rung="1-run",result="proven"} 0' in page()
    ops.all_are(Status.PASS)
    post(ops, RECOVER)
    assert 'oatie_recovery_attempts_total{service="db",rung="1-run",result="proven"} 1' in page()
    assert 'oatie_recoveries_total{service="db",outcome="proven"} 1' in page()
    assert 'oatie_recovery_given_up{service="db"} 0' in page()
