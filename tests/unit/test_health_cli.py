"""What `oatie health` shows and how it exits, from the object that the supervisor gives."""

from __future__ import annotations

import io
from typing import Any

import pytest

from oatie_ops.cli import health_source, health_text
from oatie_ops.errors import UsageError
from oatie_ops.health.model import Status
from oatie_ops.health.words import SEVERITY


def check(status: str, output: str = "fine") -> dict[str, Any]:
    return {"status": status, "output": output, "for_seconds": 75.2}


def seen(**services: tuple[str, str]) -> dict[str, Any]:
    return {
        "status": "fail",
        "cause": "db: refused",
        "services": {
            name: {
                "status": status,
                "output": output,
                "maintenance": None,
                "checks": {"tcp": check(status, output)},
            }
            for name, (status, output) in services.items()
        },
        "groups": {},
        "release": "7",
        "state": "running",
        "age_seconds": 0.31,
        "supervised": True,
    }


ALL = seen(
    app=("pass", "fine"), db=("fail", "refused"), mail=("unknown", "not measured"), web=("warn", "slow")
)


def test_worst_comes_first_and_every_state_has_a_word_and_a_shape() -> None:
    lines = health_text.render(ALL, io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert lines[0] == "✗ failing  db: refused"
    assert [line.split()[:3] for line in lines[3:7]] == [
        ["✗", "failing", "db"],
        ["!", "degraded", "web"],
        ["?", "unknown", "mail"],
        ["✓", "healthy", "app"],
    ]
    assert lines[-1] == "release 7, running; as of 0.3 s ago"


def test_terminal_without_the_shapes_gets_plain_ones() -> None:
    lines = health_text.render(ALL, io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert lines[0].startswith("x failing")
    assert all(line.isascii() for line in lines)


def test_colour_does_not_move_the_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    plain = health_text.render(ALL, stream)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = health_text.render(ALL, stream)
    assert coloured != plain
    stripped = [
        line.replace("\x1b[31m", "").replace("\x1b[33m", "").replace("\x1b[32m", "") for line in coloured
    ]
    assert [line.replace("\x1b[0m", "") for line in stripped] == plain


def test_without_a_supervisor_it_says_who_checked() -> None:
    lines = health_text.render({**ALL, "supervised": False}, io.StringIO())
    assert "no supervisor is running" in lines[-1]


@pytest.mark.parametrize(
    ("services", "status", "cause"),
    [
        (["app"], "pass", ""),
        (["app", "mail"], "unknown", "mail: not measured"),
        (["mail", "web"], "warn", "web: slow"),
        ([], "fail", "db: refused"),
    ],
)
def test_verdict_is_about_what_was_asked_for(services: list[str], status: str, cause: str) -> None:
    narrowed = health_source.narrowed(ALL, services)
    assert (narrowed["status"], narrowed["cause"]) == (status, cause)
    assert list(narrowed["services"]) == (services or ["app", "db", "mail", "web"])


def test_unknown_service_is_a_usage_error_with_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        health_source.narrowed(ALL, ["wep"])
    assert "did you mean web?" in caught.value.fix


def test_order_of_the_words_is_that_of_the_status() -> None:
    assert {status.value: status.severity for status in Status} == SEVERITY
