"""The ops API's answers, over ASGI, from snapshots made by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.api import models
from oatie_ops.health.model import Status
from tests.unit.ops_world import DETAILS, PROBES, Ops


@pytest.fixture
def ops(tmp_path: Path) -> Ops:
    return Ops(tmp_path)


@pytest.mark.parametrize(
    ("word", "health", "ready"),
    [(Status.PASS, 200, 200), (Status.WARN, 200, 200), (Status.FAIL, 503, 503)],
)
def test_status_codes_follow_the_health(ops: Ops, word: Status, health: int, ready: int) -> None:
    ops.all_are(word)
    for path in ("/health", "/health/detailed", "/health/services", "/health/services/app"):
        answer = ops.get(path)
        assert (answer.status_code, answer.json()["status"]) == (health, word.value)
    assert ops.get("/health/ready").status_code == ready
    assert ops.get("/health/dashboard").status_code == 200
    assert ops.get("/health/dashboard/html").status_code == 200


def test_unknown_is_no_failure_but_gets_no_traffic(ops: Ops) -> None:
    assert ops.get("/health").json() == {"status": "unknown"}
    assert ops.get("/health").status_code == 200
    assert ops.get("/health/ready").status_code == 503
    assert ops.get("/health/startup").status_code == 503


def test_liveness_does_not_care_about_anything_that_fails(ops: Ops) -> None:
    ops.all_are(Status.FAIL)
    assert (ops.get("/health/live").status_code, ops.get("/health/live").json()) == (200, {"status": "pass"})


def test_service_that_the_application_does_not_need_leaves_it_ready(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    ops.find("db", Status.FAIL)
    assert ops.get("/health").status_code == 503
    assert ops.get("/health/ready").status_code == 200


def test_public_words_hold_no_detail(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    ops.find("db", Status.FAIL, "10.1.2.3 refuses user app")
    for path in PROBES:
        assert set(ops.get(path).json()) == {"status"}


def test_answers_have_the_shapes_that_the_description_promises(ops: Ops) -> None:
    ops.all_are(Status.WARN)
    models.Detailed.model_validate(ops.get("/health/detailed").json())
    models.Services.model_validate(ops.get("/health/services").json())
    models.Service.model_validate(ops.get("/health/services/db").json())
    models.Dashboard.model_validate(ops.get("/health/dashboard").json())
    models.Problem.model_validate(ops.get("/health/services/nobody").json())


def test_draft_shape_is_given_to_whom_asks_for_it(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    ops.find("db", Status.WARN, "slow")
    answer = ops.get("/health/detailed", headers={"Accept": "application/health+json"})
    assert answer.headers["content-type"] == "application/health+json"
    body = answer.json()
    assert (body["status"], body["releaseId"], body["output"]) == ("warn", "7", "db: slow")
    assert body["checks"]["db:tcp"] == [
        {
            "componentId": "db",
            "componentType": "component",
            "status": "warn",
            "time": "2023-11-14T22:13:20.000Z",
            "observedValue": 1.0,
            "observedUnit": "percent",
            "output": "slow",
        }
    ]
    assert "output" not in body["checks"]["app:workers"][0]
    brief = ops.get("/health", headers={"Accept": "application/health+json"})
    assert brief.headers["content-type"] == "application/health+json"


def test_worst_cause_comes_first(ops: Ops) -> None:
    ops.all_are(Status.WARN)
    ops.find("db", Status.FAIL, "refused")
    assert ops.get("/health/detailed").json()["cause"] == "db: refused"


def test_head_is_answered_like_get_without_a_body(ops: Ops) -> None:
    ops.all_are(Status.FAIL)
    answer = ops.get("/health", method="HEAD")
    assert (answer.status_code, answer.content) == (503, b"")


def test_nothing_is_cached_or_framed_or_sniffed(ops: Ops) -> None:
    for path in (*PROBES, *DETAILS, "/nowhere", "/openapi.json"):
        headers = ops.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/health/services/nobody", 404),
        ("GET", "/health/operations/none", 404),
        ("DELETE", "/health", 405),
        ("POST", "/health/detailed", 405),
        ("GET", "/redoc", 404),
    ],
)
def test_every_error_is_a_problem_document(ops: Ops, method: str, path: str, status: int) -> None:
    answer = ops.get(path, method=method)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert models.Problem.model_validate(answer.json()).status == status


def test_defect_is_told_without_its_inside(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> dict[str, Any]:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(ops.view, "status", broken)
    answer = ops.get("/health/dashboard")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_page_escapes_what_comes_from_outside_and_holds_no_script(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    ops.find("db", Status.FAIL, "<script>alert(1)</script>\"'")
    answer = ops.get("/health/dashboard/html")
    scripts = re.findall("<script[^>]*>[^<]*", answer.text)
    assert len(scripts) == 1
    assert re.fullmatch(
        r'<script type="module" src="/health/dashboard/assets/[0-9a-f]{12}/app.js">', scripts[0]
    )
    assert not re.search(r"\son\w+=|\sstyle=|<style", answer.text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "<b>shop" not in answer.text
    assert "failing" in answer.text
    assert 'http-equiv="refresh" content="30"' in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy


def test_page_shows_the_worst_first(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    ops.find("db", Status.FAIL, "refused")
    page = ops.get("/health/dashboard/html").text
    rows = re.findall(r'<tr id="svc-\d" data-name="(\w+)">', page)
    assert rows == ["db", "app", "system"]


def test_front_door_leads_to_the_dashboard(ops: Ops) -> None:
    assert ops.get("/").headers["location"] == "/health/dashboard/html"
