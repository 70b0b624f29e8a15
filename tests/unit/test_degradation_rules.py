"""Routes and canned responses, as the middleware serves them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oatie_ops.config.settings import ServiceSettings, Settings
from oatie_ops.degradation.rules import compile_rule, covers, library_source, refusal, source_of

SOURCE = {
    "routes": ["/api/reports*", "/export"],
    "responses": [
        {"match": "GET /api/reports", "status": 200, "body": {"reports": []}, "headers": {"X-Hint": "later"}},
        {"match": "/api/reports/latest*", "status": 204},
        {"match": "POST /export", "status": 202, "body": "queued", "headers": {"Content-Type": "text/x"}},
    ],
    "retry_after": 30.0,
}


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("/api/reports*", "/api/reports", True),
        ("/api/reports*", "/api/reports/7", True),
        ("/api/reports*", "/api/report", False),
        ("/export", "/export", True),
        ("/export", "/exports", False),
        ("/*", "/anything", True),
    ],
)
def test_a_star_at_the_end_matches_the_rest(pattern: str, path: str, covered: bool) -> None:
    assert covers(pattern, path) is covered


def test_the_first_response_that_matches_is_served() -> None:
    rule = compile_rule("reports", SOURCE)
    listed = rule.answer("GET", "/api/reports")
    assert listed is not None and json.loads(listed.body) == {"reports": []}
    headers = dict(listed.headers)
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"content-length"] == str(len(listed.body)).encode()
    assert headers[b"x-degraded"] == b"reports" and headers[b"cache-control"] == b"no-store"
    assert headers[b"x-hint"] == b"later"
    assert rule.answer("HEAD", "/api/reports") is listed


def test_an_unsafe_method_gets_no_canned_answer_unless_that_is_declared() -> None:
    rule = compile_rule("reports", SOURCE)
    assert rule.answer("POST", "/api/reports") is None
    export = rule.answer("POST", "/export")
    assert export is not None and (export.status, export.body) == (202, b"queued")
    assert dict(export.headers)[b"content-type"] == b"text/x"
    latest = rule.answer("DELETE", "/api/reports/latest/7")
    assert latest is not None and latest.status == 204 and latest.body == b""


@pytest.mark.parametrize(("left", "told"), [(None, 30), (4.2, 5), (0.0, 1), (900.0, 30)])
def test_nobody_is_told_to_come_back_later_than_the_decision_lasts(left: float | None, told: int) -> None:
    rule = compile_rule("reports", SOURCE)
    status, headers, body = refusal(rule, reason="load", retry_after_seconds=30.0, left_seconds=left)
    assert status == 503
    assert dict(headers)[b"retry-after"] == str(told).encode()
    assert dict(headers)[b"content-type"] == b"application/problem+json"
    problem = json.loads(body)
    assert problem["status"] == 503 and problem["service"] == "reports" and problem["reason"] == "load"


def test_rules_come_from_the_services_of_oatie_toml() -> None:
    degrade = {"auto": ["db"], "responses": SOURCE["responses"], "retry_after": 7.0}
    services = {
        "reports": ServiceSettings("reports", routes=("/api/reports*",), degrade=degrade),
        "db": ServiceSettings("db"),
    }
    found = source_of(Settings(Path("/"), services=services))
    assert found["reports"]["retry_after"] == 7.0 and found["reports"]["routes"] == ["/api/reports*"]
    assert found["db"]["routes"] == []
    json.dumps(found)


def test_of_a_rule_of_the_library_the_routes_are_served_and_the_names_are_not() -> None:
    source = library_source({"degraded_responses": {"list": {}, "GET /api/reports": {"reports": []}}})
    assert source["routes"] == ["/api/reports"]
    rule = compile_rule("reports", source)
    assert rule.concerns("/api/reports") and len(rule.responses) == 1
